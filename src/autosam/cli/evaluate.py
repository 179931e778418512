"""`autosam evaluate`: scores of label files against the truth, as a table, CSV, JSON and figures."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autosam.cli.console import say
from autosam.cli.progress import progress

if TYPE_CHECKING:
    from autosam.evaluation.pairing import Pair
    from autosam.evaluation.scoring import Ranking
    from autosam.evaluation.tables import Summary
    from autosam.metrics.bootstrap import Interval
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
            metavar="[PRED... TRUTH]",
            help="Predicted and true labels: files, folders (such as the output of segment), quoted patterns, or "
            "stores. With --compare: A B C ... TRUTH. With --pairs: none.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="Folder for evaluation.csv and evaluation.json."),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare several predictions: --compare A B C TRUTH.")
    ] = False,
    figures: Annotated[
        bool, typer.Option("--figures", help="Draw error maps and curves into FOLDER/figures; needs -o.")
    ] = False,
    diagnose: Annotated[
        bool,
        typer.Option(
            "--diagnose",
            help="Segment the images of PRED, an output folder of segment, again and tell where objects are lost.",
        ),
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE", help="With --diagnose: auto, cpu, cuda, cuda:1 ... [auto]", show_default=False
        ),
    ] = None,
    components: Annotated[
        bool, typer.Option("--components", help="The truth is semantic: its connected components are the objects.")
    ] = False,
    pred_components: Annotated[
        bool, typer.Option("--pred-components", help="The same for the prediction.")
    ] = False,
    min_size: Annotated[
        int | None,
        typer.Option(min=1, metavar="PIXELS", help="With --components: drop components smaller than this. [50]"),
    ] = None,
    lists: Annotated[
        list[str] | None,
        typer.Option(
            "--list",
            metavar="FILE[:KEY]",
            help="Compare only these names: a text file, or splits.json:epfl.val. May be repeated.",
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
        typer.Option(
            metavar="dsb|coco|mitoem2020",
            help="Average precision to print. May be repeated. [dsb]",
            show_default=False,
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="dsb: a match has IoU > t, not IoU >= t.")] = False,
    rand: Annotated[
        Rand,
        typer.Option(
            metavar="snemi3d|skimage|foreground|singletons", help="Definition of the adapted Rand error."
        ),
    ] = Rand.SNEMI3D,
    max_dets: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="coco, mitoem2020: count the N best objects of an image. [all]"),
    ] = None,
    scores: Annotated[
        ScoresFrom | None,
        typer.Option(
            metavar="auto|table|size",
            help="coco, mitoem2020: rank by NAME_instances.csv or by size. [table where all have one]",
            show_default=False,
        ),
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(metavar="N,N", help="Also AP by size, in classes bounded by these numbers of voxels."),
    ] = None,
    bootstrap: Annotated[
        int,
        typer.Option(
            min=0, max=100_000, metavar="N", help="Resamples of the images for 95 % intervals; 0 for none."
        ),
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the resamples.")] = 0,
    wide: Annotated[bool, typer.Option("--wide", help="Also print VOI, CREMI score, PQ, AJI and AJI+.")] = False,
) -> None:
    """Score predicted labels against the truth, paired by name."""
    from autosam.cli.evaluation_diagnosis import diagnose_results, open_diagnosed
    from autosam.cli.evaluation_tables import print_results
    from autosam.errors import OutputError
    from autosam.evaluation.scoring import score_predictions
    from autosam.evaluation.tables import count_of, summarize
    from autosam.metrics.bootstrap import paired_differences

    given = places or []
    _check_places(given, compare, pairs, lists)
    chosen = list(dict.fromkeys(ap or [Ap.DSB]))
    ranked = chosen != [Ap.DSB]
    _check_needs(
        ("--min-size", min_size, components or pred_components, "--components or --pred-components"),
        ("--max-dets", max_dets, ranked, "--ap coco or --ap mitoem2020"),
        ("--scores", scores, ranked, "--ap coco or --ap mitoem2020"),
        ("--device", device, diagnose, "--diagnose, which alone runs a model"),
        ("--figures", figures or None, output, "-o, the folder that they go to"),
    )
    if output is not None and output.exists() and not output.is_dir():
        raise OutputError(f"{output} is a file: give -o a folder")
    protocol = _protocol(chosen, strict, rand, max_dets, sizes)
    alone = {"--compare": compare, "--pairs": pairs, "--pred-components": pred_components, "--strict": strict}
    run = open_diagnosed(given, alone, device=device or "auto") if diagnose else None
    size = 50 if min_size is None else min_size
    sides = {"truth_size": size if components else None, "pred_size": size if pred_components else None}
    paired, notes = _listed_pairs(pairs) if pairs is not None else _paired(given, lists)
    ranking: Ranking = (scores or ScoresFrom.AUTO).value
    with progress("evaluating", sum(map(len, paired.values()))) as bar:
        scored = score_predictions(
            paired, protocol=protocol, ranking=ranking, **sides, progress=lambda done, _: bar.update(done)
        )
    (first, *others), sampling = paired, {"resamples": bootstrap, "seed": seed}
    names = [pair.name for pair in paired[first]]
    summaries = {place: summarize(names, found.scores, **sampling) for place, found in scored.items()}
    differences = {
        place: paired_differences(scored[first].scores, scored[place].scores, **sampling) for place in others
    }
    compared = str(pairs) if pairs is not None else f"{', '.join(paired)} against {given[-1]}"
    title = f"{compared}: {count_of(len(names))}"
    scoring_notes = dict.fromkeys(note for found in scored.values() for note in found.notes)
    notes = [*_said_of_components(size, components, pred_components), *notes, *scoring_notes]
    dsb = Ap.DSB in chosen
    print_results(title, notes, summaries, differences, protocol=protocol, dsb=dsb, wide=wide, resamples=bootstrap)
    if output is not None:
        settings = {
            "ap": chosen[0].value if len(chosen) == 1 else [a.value for a in chosen],
            "bootstrap": bootstrap,
            "seed": seed,
            "components_of_truth": components,
            "components_of_prediction": pred_components,
            "smallest_component_px": size if components or pred_components else None,
        }
        _write(output, {"title": title, "settings": settings, "notes": notes}, protocol, summaries, differences)
        if figures:
            from autosam.evaluation.draw_scores import draw_scores

            draw_scores(output / "figures", paired, scored, summaries, **sides)
            say(f"Drawn: {output / 'figures'}")
    if run is not None:
        diagnose_results(run, paired[first], sides["truth_size"], output)


def _protocol(chosen: list[Ap], strict: bool, rand: Rand, max_dets: int | None, sizes: str | None) -> "Protocol":
    from autosam.metrics.ranked_precision import RankedConvention
    from autosam.metrics.scores import Protocol

    known: tuple[RankedConvention, ...] = ("coco", "mitoem2020")
    ranked = tuple(name for a in chosen for name in known if a == name)
    protocol = Protocol(
        strict=strict, rand=rand.value, ranked=ranked, max_dets=max_dets, size_bounds=_size_bounds(sizes)
    )
    protocol.size_classes("dsb")  # refuses bounds that do not ascend before anything is read
    return protocol


def _write(
    output: Path,
    about: dict[str, Any],
    protocol: "Protocol",
    summaries: "dict[str, Summary]",
    differences: "dict[str, dict[str, Interval]]",
) -> None:
    from autosam.evaluation.tables import write_results
    from autosam.metrics.definitions import definitions

    about["settings"] |= {
        "strict": protocol.strict,
        "rand": protocol.rand,
        "max_dets": protocol.max_dets,
        "size_bounds": list(protocol.size_bounds),
    }
    about["definitions"] = definitions(protocol)
    say(f"Written: {', '.join(map(str, write_results(output, about, summaries, differences)))}")


def _size_bounds(text: str | None) -> tuple[int, ...]:
    from autosam.errors import InputError

    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise InputError(f"--sizes is {text!r}: give whole numbers of voxels, such as 1000,5000") from None


def _check_needs(*options: tuple[str, object, object, str]) -> None:
    """Refuse options that came without another one that they need."""
    from autosam.errors import InputError

    for option, given, there, needed in options:
        if given is not None and not there:
            raise InputError(f"{option} came without {needed}: add that or leave {option} out")


def _said_of_components(size: int, truth: bool, pred: bool) -> list[str]:
    made = [side for side, wanted in (("truth", truth), ("prediction", pred)) if wanted]
    how = f"connected components (8 neighbors, 26 in 3D) of at least {size} px"
    return [f"objects of the {' and of the '.join(made)} are the {how} of semantic masks"] if made else []


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


def _listed_pairs(file: Path) -> "tuple[dict[str, list[Pair]], list[str]]":
    from autosam.evaluation.lists import read_pairs

    return {str(file): read_pairs(file)}, []


def _paired(places: list[str], lists: list[str] | None) -> "tuple[dict[str, list[Pair]], list[str]]":
    from autosam.evaluation.lists import read_stems
    from autosam.evaluation.pairing import pair_predictions

    stems = [stem for source in lists for stem in read_stems(source)] if lists else None
    return pair_predictions(places[:-1], places[-1], stems=stems)
