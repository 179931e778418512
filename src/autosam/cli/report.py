"""`autosam report`: one HTML page about a folder of results, to look at, to print and to send."""

from pathlib import Path

import typer

from autosam.cli.console import error, interruptible, say
from autosam.cli.interrupts import leaving_at_once
from autosam.cli.progress import progress
from autosam.cli.words import count, file_size

NAME = "report.html"
"""The report in a folder of results, where no other name is given."""
_LEAST = 50
"""Pixels of a component of a semantic truth, as of `autosam evaluate --components`."""


def report(
    results: Path = typer.Argument(
        ..., metavar="RESULTS", help="A folder that autosam segment wrote.", show_default=False
    ),
    output: Path | None = typer.Option(
        None, "--output", "--out", "-o", metavar="FILE.html", help="The page. [RESULTS/report.html]"
    ),
    labels: str | None = typer.Option(
        None,
        "--labels",
        metavar="TRUTH",
        help="True labels, paired by name as autosam evaluate does: adds scores, what became of the objects, and "
        "the worst ones as crops.",
    ),
    components: bool = typer.Option(
        False,
        "--components",
        help="The true labels are semantic: their connected components of 50 pixels or more are the objects.",
    ),
    groups: Path | None = typer.Option(
        None,
        "--groups",
        metavar="FILE.csv",
        help="Table with the columns image and group: compares densities and sizes between the groups.",
    ),
) -> None:
    """Make one HTML page about a folder of results.

    It opens in any browser without a network: warnings first, a summary, all images with outlines that switch on
    and off, distributions, a table that sorts, and a methods paragraph. Images are found by the run record.
    """
    with leaving_at_once():
        from autosam.errors import InputError

        if components and labels is None:
            raise InputError("--components came without --labels; add the true labels, or leave it out")
        write_report(results, output, labels=labels, components=components, groups=groups)


def check_report(results: Path) -> None:
    """Refuse to replace a file in a folder of results that has the name of the report and is none."""
    from autosam.report.html_page import check_place

    check_place(results / NAME)


def report_results(results: Path) -> bool:
    """Write the report of a folder after a run, and tell whether that failed, which is said.

    Without a single result there is nothing to report.
    """
    from autosam.errors import AutosamError
    from autosam.images.folder_listing import holds_results

    try:
        if holds_results(results):
            write_report(results)
    except AutosamError as failure:
        error(f"no report is written: {failure}")
        return False
    return True


def write_report(
    results: Path,
    output: Path | None = None,
    *,
    labels: str | None = None,
    components: bool = False,
    groups: Path | None = None,
) -> None:
    """Write the page and say where it is; `autosam segment --report` does it after a run."""
    from autosam.errors import OutputError
    from autosam.evaluation.results_page.folder_record import read_record
    from autosam.report.html_page import check_place, write_page

    record = read_record(results)
    path = results / NAME if output is None else output
    check_place(path)
    if not path.parent.is_dir():
        raise OutputError(f"there is no folder {path.parent}; make it, or choose another --output")

    # Slow imports only now: a mistyped path is answered at once.
    from autosam.evaluation.results_page.make_report import ReportOptions, make_report

    options = ReportOptions(labels, _LEAST if components else None, groups)
    with interruptible("no report is written"), progress("looking at results", len(record.entries)) as bar:
        content = make_report(results, options, progress=lambda done, _: bar.update(done, ""))
        write_page(path, content)
    say(f"Report on {count(len(record.entries), 'image')}: {path} ({file_size(path.stat().st_size)}).")
