"""`autosam apply`: corrected results from results and corrections."""

from pathlib import Path

import typer

from autosam.cli.console import interruptible, note, say
from autosam.cli.interrupts import ending_in_order, leaving_at_once
from autosam.cli.options import Device, ImagesPlace
from autosam.cli.progress import progress
from autosam.cli.words import count


def apply(
    results: Path = typer.Argument(
        ..., metavar="RESULTS", help="A folder that autosam segment or autosam apply wrote.", show_default=False
    ),
    corrections: Path = typer.Argument(
        ..., metavar="CORRECTIONS", help="The table of corrections, such as corrections.csv.", show_default=False
    ),
    output: Path = typer.Option(
        ...,
        "--output",
        "--out",
        "-o",
        metavar="FIXED",
        help="Folder for the corrected results.",
        show_default=False,
    ),
    model: str | None = typer.Option(
        None,
        "--model",
        "-m",
        metavar="NAME|FILE",
        help="The model that answers points and boxes. [that of the run, with its settings]",
    ),
    images: ImagesPlace = None,
    device: Device = "auto",
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace a folder of corrected results that is there already."
    ),
) -> None:
    """Apply corrections to results: accept, delete, merge, split, redraw and add objects.

    FIXED gets labels, overlays and tables in the same layout, provenance.csv with who made each object, and the
    folder training with what was reviewed, to learn from. Only points and boxes without a mask ask a model.
    """
    with leaving_at_once():
        from autosam.errors import InputError
        from autosam.models.files.zoo import resolve_model
        from autosam.review.check_corrections import check_corrections
        from autosam.review.corrections_file import read_corrections
        from autosam.review.fixed_place import check_place
        from autosam.review.review_results import ReviewResults

        check_place(results, output, overwrite=overwrite)
        if output.resolve() in corrections.resolve().parents:
            raise InputError(f"{output} holds {corrections} itself; choose another folder with --output")
        if model is not None:
            resolve_model(model)
        opened = ReviewResults.open(results, wanted="autosam apply takes")
        checked = check_corrections(read_corrections(corrections), opened)

        # Slow imports only now: what is refused is answered at once.
        from autosam.review.apply import ApplyOptions, apply_corrections

    options = ApplyOptions(model, images, device, overwrite=overwrite)
    with (
        interruptible("nothing is written"),
        ending_in_order(),
        progress("correcting", len(checked.of)) as bar,
    ):
        done = apply_corrections(checked, output, options, progress=lambda number, _: bar.update(number))
    for text in done.notes:
        note(text)
    say(
        f"{count(done.corrections, 'correction')} applied to {count(done.images, 'image')}: "
        f"{done.before:,} objects before, {done.after:,} now. Results: {output}"
    )
