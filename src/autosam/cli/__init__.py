"""The command line: one file per command. Nothing here imports torch, numpy or scipy before a command runs."""

import sys

import typer

from autosam.cli.data import data
from autosam.cli.evaluate import evaluate
from autosam.cli.models import models
from autosam.cli.segment import segment
from autosam.cli.sweep import sweep
from autosam.cli.train import train
from autosam.cli.tune import tune
from autosam.errors import AutosamError

app = typer.Typer(
    name="autosam",
    help="Find every mitochondrion in electron micrographs, or what a model of your own knows, without clicking.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(segment)
app.command()(train)
app.command()(evaluate)
app.command()(sweep)
app.command()(tune)
app.add_typer(data, name="data")
app.add_typer(models, name="models")


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        from autosam import __version__

        typer.echo(f"autosam {__version__}")
        raise typer.Exit


def main() -> None:
    """Run a command; turn a user's error into one line on stderr and exit status 2."""
    try:
        app()
    except AutosamError as error:
        typer.echo(f"autosam: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        # What the commands do not expect themselves, such as stdout on a full disk.
        typer.echo(
            f"autosam: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", err=True
        )
        sys.exit(2)
