"""`autosam evaluate`: scores of label files against the truth, as a table, CSV and JSON."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from autosam.metrics.evaluation import Scores
    from autosam.metrics.pairing import Pair

_PRINTED = {
    "objects": "objects",
    "predicted": "predicted",
    "ap50": "AP@.5",
    "ap75": "AP@.75",
    "mean_ap": "mean AP",
    "rand_error": "A-Rand",
    "dice": "Dice",
    "iou": "IoU",
}


def evaluate(
    pred: Annotated[
        str,
        typer.Argument(
            metavar="PRED",
            help="Predicted labels: a file, a folder (such as segment's -o) or a quoted pattern.",
        ),
    ],
    truth: Annotated[
        str, typer.Argument(metavar="TRUTH", help="True labels: a file, a folder or a quoted pattern.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="OUT", help="Folder for evaluation.csv and evaluation.json."),
    ] = None,
    components: Annotated[
        bool, typer.Option("--components", help="The truth is semantic: its components are the instances.")
    ] = False,
    pred_components: Annotated[
        bool, typer.Option("--pred-components", help="The same for the prediction.")
    ] = False,
    min_size: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="PIXELS", help="Smallest component, with --components; others are dropped. [50]"
        ),
    ] = None,
    lists: Annotated[
        list[str] | None,
        typer.Option(
            "--list",
            metavar="FILE[:KEY]",
            help="Compare these stems alone: a text file or splits.json:epfl.val.",
        ),
    ] = None,
) -> None:
    """Score predicted labels against the truth, paired by name."""
    from autosam.errors import InputError, OutputError
    from autosam.metrics.evaluation import mean_row, pool
    from autosam.metrics.pairing import pair_files, read_stems

    if min_size is not None and not (components or pred_components):
        raise InputError("--min-size came without --components or --pred-components: add one or leave it out")
    if output is not None and output.exists() and not output.is_dir():
        raise OutputError(f"{output} is a file: give -o a folder")
    size = 50 if min_size is None else min_size
    stems = [stem for source in lists for stem in read_stems(source)] if lists else None
    pairs = pair_files(pred, truth, stems=stems)

    scores, notes = _score(
        pairs, truth_size=size if components else None, pred_size=size if pred_components else None
    )
    images = f"{len(pairs)} image{'s' if len(pairs) > 1 else ''}"
    rows = [("image", pair.name, s.row()) for pair, s in zip(pairs, scores, strict=True)]
    pooled = pool(scores)
    rows += [
        ("pooled", images, pooled.row()),
        ("mean", images, mean_row(scores)),
    ]

    made = [side for side, wanted in (("truth", components), ("prediction", pred_components)) if wanted]
    header = f"{pred} against {truth}: {images}"
    if made:
        how = f"connected components (8 neighbours, 26 in 3D) of at least {size} px"
        notes.insert(0, f"instances of the {' and of the '.join(made)} are the {how} of semantic masks")
    _print(header, rows, notes)
    if output is not None:
        settings = {
            "ap": "dsb",
            "strict": pooled.ap.strict,
            "rand": pooled.rand.convention,
            "components_of_truth": components,
            "components_of_prediction": pred_components,
            "smallest_component_px": size if made else None,
        }
        _write(output, header, settings, rows, notes, pooled)


def _score(
    pairs: "list[Pair]", *, truth_size: int | None, pred_size: int | None
) -> "tuple[list[Scores], list[str]]":
    """Score every pair; raise one error that names every file that cannot be used."""
    from rich.console import Console
    from rich.progress import track

    from autosam.errors import InputError
    from autosam.images import read_labels
    from autosam.metrics.components import components, looks_semantic
    from autosam.metrics.evaluation import evaluate_pair

    scores, faults = [], []
    semantic = {"truth": 0, "prediction": 0}
    console = Console(stderr=True)
    quiet = not console.is_terminal or len(pairs) < 2
    for pair in track(pairs, "Evaluating", console=console, transient=True, disable=quiet):
        try:
            pred, truth = read_labels(pair.pred), read_labels(pair.truth)
            semantic["truth"] += truth_size is None and looks_semantic(truth)
            semantic["prediction"] += pred_size is None and looks_semantic(pred)
            if truth_size is not None:
                truth = components(truth, min_size=truth_size)
            if pred_size is not None:
                pred = components(pred, min_size=pred_size)
            scores.append(evaluate_pair(pred, truth))
        except InputError as error:
            faults.append(f"{pair.name}: {error}")
    if faults:
        raise InputError(f"{len(faults)} of {len(pairs)} images cannot be compared: {'; '.join(faults)}")
    notes = [
        f"{count} {side} file(s) hold one id alone, like a semantic mask; {option} makes instances of it"
        for (side, count), option in zip(semantic.items(), ("--components", "--pred-components"), strict=True)
        if count
    ]
    return scores, notes


def _print(header: str, rows: list[tuple[str, str, dict[str, float]]], notes: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Into a file or a pipe nothing is cut to the 80 columns that rich then assumes.
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(Text(header))
    for note in notes:
        console.print(Text(f"note: {note}"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("image", no_wrap=True)
    for title in _PRINTED.values():
        table.add_column(title, justify="right", no_wrap=True)
    for number, (kind, name, row) in enumerate(rows):
        whole = kind != "mean"
        cells = [_cell(row[column], whole and column in ("objects", "predicted")) for column in _PRINTED]
        last_image = number + 1 < len(rows) and kind == "image" != rows[number + 1][0]
        table.add_row(
            Text(name if kind == "image" else f"{kind} ({name})"),
            *cells,
            end_section=last_image,
            style=None if kind == "image" else "bold",
        )
    console.print(table)
    console.print(
        Text("AP: TP / (TP + FP + FN); mean AP: IoU .50 to .95; A-Rand: adapted Rand error, as SNEMI3D.")
    )


def _cell(value: float, whole: bool) -> str:
    if value != value:  # undefined
        return "–"
    return f"{value:.0f}" if whole else f"{value:.3f}"


def _write(
    output: Path,
    header: str,
    settings: dict[str, Any],
    rows: list[tuple[str, str, dict[str, float]]],
    notes: list[str],
    pooled: "Scores",
) -> None:
    import csv
    import io

    from autosam import __version__
    from autosam.images import ensure_folder, write_json, write_text
    from autosam.metrics.evaluation import DEFINITIONS

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["kind", "image", *rows[0][2]])
    for kind, name, row in rows:
        writer.writerow([kind, name, *("" if v != v else f"{v:.6g}" for v in row.values())])
    document = {
        "autosam": __version__,
        "title": header,
        "settings": settings,
        "notes": notes,
        "definitions": DEFINITIONS,
        "images": [{"image": name, **row} for kind, name, row in rows if kind == "image"],
        "pooled": {**pooled.row(), "thresholds": pooled.per_threshold()},
        "mean": rows[-1][2],
    }
    ensure_folder(output)
    write_text(output / "evaluation.csv", text.getvalue())
    write_json(output / "evaluation.json", _null_for_nan(document))
    typer.echo(f"Written: {output / 'evaluation.csv'}, {output / 'evaluation.json'}")


def _null_for_nan(value: Any) -> Any:
    """Replace NaN, which JSON does not know, by None."""
    if isinstance(value, dict):
        return {key: _null_for_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_null_for_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value
