"""How the commands explain themselves: help that says what may stand where, usage errors in one line."""

from itertools import islice
from typing import Any

import typer
from typer.core import TyperCommand

HELP_OPTIONS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""Settings of click's contexts, which commands inherit from the program."""
FOR_ALL = "-q, -v and --log FILE work here, too: see autosam --help."
"""The last line of every command's help."""

# Older versions of typer use click, newer ones a copy of it: this is the class in both.
UsageError: Any = typer.BadParameter.__base__


def group(about: str) -> typer.Typer:
    """Make a group of commands."""
    return typer.Typer(help=about, no_args_is_help=True, context_settings=HELP_OPTIONS, rich_markup_mode=None)


class Command(TyperCommand):
    """A command whose help shows arguments and options by what may stand there, never by a Python type."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Give the words of the usage line after the command's name."""
        return ["[OPTIONS]", *(str(param.metavar) for param in self.params if param.param_type_name == "argument")]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the lists of arguments and of options."""
        params = self.get_params(ctx)
        arguments = [
            (str(param.metavar), getattr(param, "help", ""))
            for param in params
            if param.param_type_name == "argument"
        ]
        records = [param.get_help_record(ctx) for param in params if param.param_type_name == "option"]
        for title, rows in (("Arguments", arguments), ("Options", [record for record in records if record])):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def one_line(error: Any) -> str:
    """Write a usage error in one line with a hint."""
    text = " ".join(error.format_message().split()).rstrip(".").replace(". Did", "; did")
    text = text.removeprefix("Invalid value: ").replace("Value error, ", "")
    path = error.ctx.command_path if error.ctx is not None else "autosam"
    return f"{text[:1].lower()}{text[1:]}{'' if text.endswith('?') else ';'} see {path} --help"


def global_options_first(arguments: list[str]) -> list[str]:
    """Let ``-q``, ``-v`` and ``--log FILE`` stand behind the command, too.

    Examples
    --------
    >>> global_options_first(["segment", "a.tif", "-v", "--log", "run.log"])
    ['-v', '--log', 'run.log', 'segment', 'a.tif']
    """
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in ("-q", "--quiet", "-v", "--verbose") or word.startswith("--log="):
            front.append(word)
        elif word == "--log":
            file = list(islice(words, 1))
            if not file:
                # For click to refuse.
                return [word]
            front += [word, *file]
        else:
            rest.append(word)
    return front + rest
