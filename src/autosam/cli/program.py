"""The program: its commands and the options of all, and how errors become one line and an exit status."""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import typer

from autosam.cli import console
from autosam.cli.adapt import adapt
from autosam.cli.apply import apply
from autosam.cli.data import data
from autosam.cli.evaluate import evaluate
from autosam.cli.export import export
from autosam.cli.interrupts import INTERRUPTED
from autosam.cli.link import link
from autosam.cli.models import models
from autosam.cli.report import report
from autosam.cli.review import review
from autosam.cli.segment import segment
from autosam.cli.settings import settings
from autosam.cli.sweep import sweep
from autosam.cli.train import train
from autosam.cli.tune import tune
from autosam.cli.usage import FOR_ALL, HELP_OPTIONS, Command, UsageError, global_options_first, one_line
from autosam.cli.view import view
from autosam.cli.volume import volume
from autosam.errors import AutosamError, AutosamWarning

app = typer.Typer(
    name="autosam",
    help="Find every object in microscopy images without clicking: mitochondria, nuclei, or what a model of "
    "your own knows.",
    context_settings=HELP_OPTIONS,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (
    segment,
    volume,
    link,
    view,
    report,
    review,
    apply,
    adapt,
    export,
    train,
    evaluate,
    sweep,
    tune,
    settings,
):
    app.command(cls=Command, epilog=FOR_ALL)(command)
app.add_typer(data, name="data")
app.add_typer(models, name="models")


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Print results and errors only."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Say more on stderr: settings, times, warnings."),
    log: Path | None = typer.Option(
        None, metavar="FILE", help="Append all that is said to this file, too, with times."
    ),
) -> None:
    if version:
        from autosam import __version__

        typer.echo(f"autosam {__version__}")
        raise typer.Exit
    if quiet and verbose:
        raise typer.BadParameter("--quiet and --verbose exclude each other")
    console.set_up(quiet=quiet, verbose=verbose, log=log)
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


def run() -> int:
    """Run a command and give its exit status; a user's error is one line on stderr and 2."""
    console.write_any_text()
    show_warning, warnings.showwarning = warnings.showwarning, _shower()
    try:
        status = app(global_options_first(sys.argv[1:]), prog_name="autosam", standalone_mode=False) or 0
        if status == INTERRUPTED:
            console.tell_interrupted()
    except UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(error.format_message())
        else:
            console.error(one_line(error))
        status = 2
    except AutosamError as error:
        console.error(str(error))
        status = 2
    except OSError as error:
        # What the commands do not expect themselves, such as stdout on a full disk.
        console.error(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        status = 2
    finally:
        warnings.showwarning = show_warning
    return int(status)


def _shower() -> Callable[..., None]:
    """Show Python's warnings in the words of the command line, each of them once."""
    shown: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *_: object) -> None:
        if str(message) not in shown:
            shown.add(str(message))
            # autosam's own warnings are the user's business, others the developers'.
            tell = console.note if issubclass(category, AutosamWarning) else console.detail
            tell(str(message))

    return show
