"""`autosam evaluate`: scores of label files against the truth, as a table, CSV, JSON and figures."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from autosam.evaluation.pairing import Pair
    from autosam.evaluation.scoring import FileScores
    from autosam.metrics.scores import Protocol


class Ap(StrEnum):
    """Average precisions; see docs/metrics.md."""

    DSB = "dsb"
    COCO = "coco"
    MITOEM2020 = "mitoem2020"


class Rand(StrEnum):
    """Adapted Rand errors; see docs/metrics.md."""

    SNEMI3D = "snemi3d"
    SKIMAGE = "skimage"
    FOREGROUND = "foreground"
    SINGLETONS = "singletons"


class ScoresFrom(StrEnum):
    """What ranks predictions."""

    AUTO = "auto"
    TABLE = "table"
    SIZE = "size"


def evaluate(
    places: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PRED TRUTH",
            help="Predicted and true labels: files, folders (such as segment's -o), quoted patterns, or stores of "
            "autosam data import. With --compare: A B C ... TRUTH. With --pairs: none.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="OUT", help="Folder for evaluation.csv and evaluation.json."),
    ] = None,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Put several predictions side by side: --compare A B C TRUTH."),
    ] = False,
    figures: Annotated[
        bool, typer.Option("--figures", help="Draw error maps and curves into OUT/figures; needs -o.")
    ] = False,
    diagnose: Annotated[
        bool,
        typer.Option(
            "--diagnose",
            help="Segment the images of PRED, a folder of segment, again, and say where objects are lost.",
        ),
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(help="With --diagnose: auto, cpu, cuda, cuda:1 ... [auto]", show_default=False),
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
    pairs: Annotated[
        Path | None,
        typer.Option(
            "--pairs",
            metavar="FILE.csv",
            help="Compare these files, instead of PRED TRUTH: columns pred, truth and, if wanted, name. Relative "
            "paths start at the folder of FILE.csv.",
        ),
    ] = None,
    ap: Annotated[
        list[Ap] | None,
        typer.Option(help="Average precisions to print; may be given several times. [dsb]", show_default=False),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="dsb: a match has IoU > t instead of >= t.")] = False,
    rand: Annotated[Rand, typer.Option(help="The adapted Rand error.")] = Rand.SNEMI3D,
    max_dets: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="coco, mitoem2020: count the N best of an image. [all]")
    ] = None,
    scores: Annotated[
        ScoresFrom | None,
        typer.Option(
            help="coco, mitoem2020: rank by NAME_instances.csv or by size. [table where all have one]",
            show_default=False,
        ),
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(metavar="N,N", help="AP by size too, in classes bounded by these numbers of voxels."),
    ] = None,
    bootstrap: Annotated[
        int,
        typer.Option(
            min=0, max=100_000, metavar="N", help="Resamples of the images for 95 % intervals; 0 for none."
        ),
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 0,
    wide: Annotated[bool, typer.Option("--wide", help="Print VOI, CREMI score, PQ, AJI and AJI+, too.")] = False,
) -> None:
    """Score predicted labels against the truth, paired by name."""
    from autosam.cli.evaluation_diagnosis import diagnose_results, open_diagnosed
    from autosam.cli.evaluation_tables import print_results
    from autosam.errors import InputError, OutputError
    from autosam.evaluation.tables import count_of, summarize, write_results
    from autosam.metrics.bootstrap import paired_differences
    from autosam.metrics.definitions import definitions
    from autosam.metrics.ranked_precision import RankedConvention
    from autosam.metrics.scores import Protocol

    _check_places(places or [], compare, pairs, lists)
    if min_size is not None and not (components or pred_components):
        raise InputError("--min-size came without --components or --pred-components: add one or leave it out")
    chosen = list(dict.fromkeys(ap or [Ap.DSB]))
    known: tuple[RankedConvention, ...] = ("coco", "mitoem2020")
    ranked = tuple(name for a in chosen for name in known if a == name)
    for option, value in (("--max-dets", max_dets), ("--scores", scores)):
        if value is not None and not ranked:
            raise InputError(f"{option} came without --ap coco or --ap mitoem2020: add one or leave it out")
    if device is not None and not diagnose:
        raise InputError(
            "--device came without --diagnose, which alone runs a model: add it or leave --device out"
        )
    if figures and output is None:
        raise InputError("--figures came without -o: give the folder that they go to")
    if output is not None and output.exists() and not output.is_dir():
        raise OutputError(f"{output} is a file: give -o a folder")
    protocol = Protocol(
        strict=strict, rand=rand.value, ranked=ranked, max_dets=max_dets, size_bounds=_size_bounds(sizes)
    )
    protocol.size_classes("dsb")  # refuses bounds that do not ascend before anything is read
    alone = {"--compare": compare, "--pairs": pairs, "--pred-components": pred_components, "--strict": strict}
    run = open_diagnosed(places or [], alone, device=device or "auto") if diagnose else None
    size = 50 if min_size is None else min_size
    truth_size, pred_size = size if components else None, size if pred_components else None
    paired, said = _listed(pairs) if pairs is not None else _paired(places or [], lists)
    ranking = (scores or ScoresFrom.AUTO).value
    scored = _score(paired, protocol, truth_size, pred_size, ranking)
    preds = list(paired)
    names = [pair.name for pair in paired[preds[0]]]
    summaries = {
        place: summarize(names, found.scores, resamples=bootstrap, seed=seed) for place, found in scored.items()
    }

    images = count_of(len(names))
    header = (
        f"{pairs}: {images}" if pairs is not None else f"{', '.join(preds)} against {(places or [])[-1]}: {images}"
    )
    notes = [*said, *dict.fromkeys(note for found in scored.values() for note in found.notes)]
    made = [side for side, wanted in (("truth", components), ("prediction", pred_components)) if wanted]
    if made:
        how = f"connected components (8 neighbors, 26 in 3D) of at least {size} px"
        notes.insert(0, f"instances of the {' and of the '.join(made)} are the {how} of semantic masks")
    differences = {}
    if compare:
        first = scored[preds[0]].scores
        for place in preds[1:]:
            differences[place] = paired_differences(first, scored[place].scores, resamples=bootstrap, seed=seed)
    print_results(
        header,
        notes,
        summaries,
        differences,
        protocol=protocol,
        dsb=Ap.DSB in chosen,
        wide=wide,
        resamples=bootstrap,
    )

    if output is not None:
        settings = {
            "ap": chosen[0].value if len(chosen) == 1 else [a.value for a in chosen],
            "strict": strict,
            "rand": rand.value,
            "max_dets": max_dets,
            "size_bounds": list(protocol.size_bounds),
            "bootstrap": bootstrap,
            "seed": seed,
            "components_of_truth": components,
            "components_of_prediction": pred_components,
            "smallest_component_px": size if made else None,
        }
        about = {"title": header, "settings": settings, "notes": notes, "definitions": definitions(protocol)}
        written = write_results(output, about, summaries, differences)
        typer.echo(f"Written: {', '.join(map(str, written))}")
        if figures:
            from autosam.cli.evaluation_figures import draw_results

            draw_results(output / "figures", paired, scored, summaries, truth_size, pred_size)
    if run is not None:
        diagnose_results(run, paired[preds[0]], truth_size, output)


def _size_bounds(text: str | None) -> tuple[int, ...]:
    from autosam.errors import InputError

    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise InputError(f"--sizes is {text!r}: give whole numbers of voxels, such as 1000,5000") from None


def _check_places(places: list[str], compare: bool, pairs: Path | None, lists: list[str] | None) -> None:
    from autosam.errors import InputError

    if pairs is not None:
        others = {"PRED TRUTH": places, "--compare": compare, "--list": lists}
        given = [name for name, value in others.items() if value]
        if given:
            raise InputError(f"--pairs came with {' and '.join(given)}: the pairs in {pairs} stand alone")
        return
    preds = places[:-1]
    if not preds or (len(preds) > 1 and not compare):
        raise InputError(
            f"{len(places)} place(s) came: give PRED TRUTH, --compare A B ... TRUTH for several predictions, or "
            "--pairs FILE.csv"
        )
    if compare and (len(preds) < 2 or len(set(preds)) < len(preds)):
        raise InputError(
            f"--compare got {', '.join(preds)} and the truth {places[-1]}: name two or more predictions"
        )


def _listed(file: Path) -> "tuple[dict[str, list[Pair]], list[str]]":
    from autosam.evaluation.lists import read_pairs

    return {str(file): read_pairs(file)}, []


def _paired(places: list[str], lists: list[str] | None) -> "tuple[dict[str, list[Pair]], list[str]]":
    from autosam.evaluation.lists import read_stems
    from autosam.evaluation.pairing import pair_predictions

    stems = [stem for source in lists for stem in read_stems(source)] if lists else None
    return pair_predictions(places[:-1], places[-1], stems=stems)


def _score(
    pairs: "dict[str, list[Pair]]",
    protocol: "Protocol",
    truth_size: int | None,
    pred_size: int | None,
    ranking: Any,
) -> "dict[str, FileScores]":
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from autosam.cli.console import console
    from autosam.evaluation.scoring import score_predictions

    columns = (TextColumn("Evaluating"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=sum(map(len, pairs.values())))
        return score_predictions(
            pairs,
            protocol=protocol,
            truth_size=truth_size,
            pred_size=pred_size,
            ranking=ranking,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
