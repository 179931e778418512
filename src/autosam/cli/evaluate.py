"""`autosam evaluate`: scores of label files against the truth, as a table, CSV, JSON and figures."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from autosam.cli.console import say
from autosam.cli.progress import progress
from autosam.cli.words import count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autosam.evaluation.pairing import Pair
    from autosam.evaluation.scoring import FileScores
    from autosam.evaluation.tables import Summary
    from autosam.metrics.all_scores import Protocol


Ap = StrEnum("Ap", ["DSB", "COCO", "MITOEM2020"])
"""Average precisions; see docs/metrics.md."""
Rand = Literal["snemi3d", "skimage", "foreground", "singletons"]
"""Adapted Rand errors; see docs/metrics.md."""


def evaluate(
    places: list[str] | None = typer.Argument(
        None,
        metavar="[PRED... TRUTH]",
        help="Predicted and true labels: files, folders (such as the output of segment), quoted patterns, or "
        "stores. With --compare: A B C ... TRUTH. With --pairs: none.",
    ),
    output: Path | None = typer.Option(
        None, "-o", "--output", metavar="FOLDER", help="Folder for evaluation.csv and evaluation.json."
    ),
    compare: bool = typer.Option(False, "--compare", help="Compare several predictions: --compare A B C TRUTH."),
    figures: bool = typer.Option(
        False, "--figures", help="Draw error maps and curves into FOLDER/figures; needs -o."
    ),
    diagnose: bool = typer.Option(
        False,
        "--diagnose",
        help="Segment the images of PRED, an output folder of segment, again and tell where objects are lost.",
    ),
    device: str | None = typer.Option(
        None, metavar="DEVICE", help="With --diagnose: auto, cpu, cuda, cuda:1 ... [auto]"
    ),
    volume: bool = typer.Option(
        False, "--volume", help="Files that are slices, in order of the numbers in their names, are one volume."
    ),
    roi: str | None = typer.Option(
        None, metavar="Z0:Z1,Y0:Y1,X0:X1", help="Compare this part of volumes only, such as 0:20,:,128:640."
    ),
    components: bool = typer.Option(
        False, "--components", help="The truth is semantic: its connected components are the objects."
    ),
    pred_components: bool = typer.Option(False, "--pred-components", help="The same for the prediction."),
    min_size: int | None = typer.Option(
        None, min=1, metavar="PIXELS", help="With --components: drop components smaller than this. [50]"
    ),
    lists: list[str] | None = typer.Option(
        None,
        "--list",
        metavar="FILE[:KEY]",
        help="Compare only these names: a text file, or splits.json:epfl.val. May be repeated.",
    ),
    pairs: Path | None = typer.Option(
        None,
        "--pairs",
        metavar="FILE.csv",
        help="Compare these files, instead of PRED TRUTH: columns pred, truth and, if wanted, name. Relative "
        "paths start at the folder of FILE.csv.",
    ),
    valid: str | None = typer.Option(
        None,
        "--valid",
        metavar="FOLDER|none",
        help="Masks of the pixels that count, named as the truth. [the folder valid beside the truth's, if any]",
    ),
    ignore_label: int | None = typer.Option(
        None, "--ignore-label", metavar="N", help="Pixels of this number in the truth, such as 255, do not count."
    ),
    ap: list[Ap] | None = typer.Option(
        None,
        metavar="dsb|coco|mitoem2020",
        help="Average precision to print. May be repeated. [dsb; of volumes also mitoem2020]",
    ),
    strict: bool = typer.Option(False, "--strict", help="dsb: a match has IoU > t, not IoU >= t."),
    rand: Rand = typer.Option(
        "snemi3d", metavar="snemi3d|skimage|foreground|singletons", help="Definition of the adapted Rand error."
    ),
    max_dets: int | None = typer.Option(
        None, min=1, metavar="N", help="coco, mitoem2020: count the N best objects of an image. [all]"
    ),
    scores: Literal["auto", "table", "size"] | None = typer.Option(
        None,
        metavar="auto|table|size",
        help="coco, mitoem2020: rank by NAME_instances.csv or by size. [table where all have one]",
    ),
    sizes: str | None = typer.Option(
        None,
        metavar="N,N|none",
        help="Also AP by size, in classes bounded by these numbers of voxels. [none; of volumes 5000,15000]",
    ),
    bootstrap: int = typer.Option(
        1000, min=0, max=100_000, metavar="N", help="Resamples of the images for 95 % intervals; 0 for none."
    ),
    seed: int = typer.Option(0, min=0, metavar="N", help="Seed of the resamples."),
    wide: bool = typer.Option(False, "--wide", help="Also print VOI, CREMI score, PQ, AJI and AJI+."),
) -> None:
    """Score predicted labels against the truth, paired by name."""
    from autosam.cli.evaluation_diagnosis import diagnose_results, open_diagnosed, refuse_ignored
    from autosam.cli.evaluation_tables import ShownScores, print_results
    from autosam.evaluation.scoring import score_predictions
    from autosam.evaluation.tables import summarize, write_results
    from autosam.evaluation.volume_sources import all_volumes
    from autosam.metrics.bootstrap import paired_differences
    from autosam.metrics.definitions import definitions

    given = places or []
    _check_places(given, compare, pairs, lists, output, volume)
    chosen = list(dict.fromkeys(a.value for a in ap or [Ap.DSB]))
    ranked = chosen != ["dsb"]
    _check_needs(
        ("--min-size", min_size, components or pred_components, "--components or --pred-components"),
        ("--max-dets", max_dets, ranked, "--ap coco or --ap mitoem2020"),
        ("--scores", scores, ranked, "--ap coco or --ap mitoem2020"),
        ("--device", device, diagnose, "--diagnose, which alone runs a model"),
        ("--figures", figures or None, output, "-o, the folder that they go to"),
    )
    protocol = _protocol(chosen, strict, rand, max_dets, sizes)
    alone = {"--compare": compare, "--pairs": pairs, "--pred-components": pred_components, "--strict": strict}
    run = open_diagnosed(given, alone, device=device or "auto") if diagnose else None
    size = 50 if min_size is None else min_size
    smallest = {"truth_size": size if components else None, "pred_size": size if pred_components else None}
    sides = {**smallest, "ignore": ignore_label}
    paired, notes = _paired(given, pairs, lists, valid, volume=volume, roi=roi, ignore=ignore_label)
    volumes = all_volumes(next(iter(paired.values())), ignore=ignore_label)
    if volumes:
        chosen, protocol = _of_volumes(protocol, chosen, ap is None, sizes is None)
    if diagnose:
        refuse_ignored(paired, ignore_label)
    with progress("evaluating", sum(map(len, paired.values()))) as bar:
        scored = score_predictions(
            paired, protocol=protocol, ranking=scores or "auto", **sides, progress=lambda done, _: bar.update(done)
        )
    (first, *others), sampling = paired, {"resamples": bootstrap, "seed": seed}
    names = [pair.name for pair in paired[first]]
    summaries = {place: summarize(names, found.scores, **sampling) for place, found in scored.items()}
    base = scored[first].scores
    differences = {place: paired_differences(base, scored[place].scores, **sampling) for place in others}
    compared = pairs or f"{', '.join(paired)} against {given[-1]}"
    title = f"{compared}: {count(len(names), 'volume' if volumes else 'image')}"
    notes = [*_said_of_components(size, components, pred_components), *notes, *_notes_of(scored)]
    shown = ShownScores(dsb="dsb" in chosen, wide=wide, volumes=volumes, resamples=bootstrap)
    print_results(title, notes, summaries, differences, protocol, shown)
    if output is not None:
        settings = _settings(protocol, chosen, {**sampling, **sides})
        about = {"title": title, "settings": settings, "notes": notes, "definitions": definitions(protocol)}
        say(f"Written: {', '.join(map(str, write_results(output, about, summaries, differences)))}")
        if figures:
            _draw(output / "figures", paired, scored, summaries, sides)
    if run is not None:
        diagnose_results(run, paired[first], sides["truth_size"], output)


def _protocol(chosen: list[str], strict: bool, rand: Rand, max_dets: int | None, sizes: str | None) -> "Protocol":
    from autosam.errors import InputError
    from autosam.metrics.all_scores import Protocol
    from autosam.metrics.ranked_precision import RankedConvention

    known: tuple[RankedConvention, ...] = ("coco", "mitoem2020")
    ranked = tuple(name for a in chosen for name in known if a == name)
    try:
        bounds = tuple(int(part) for part in sizes.split(",")) if sizes and sizes != "none" else ()
    except ValueError:
        raise InputError(f"--sizes is {sizes!r}: give whole numbers of voxels, such as 1000,5000") from None
    protocol = Protocol(strict=strict, rand=rand, ranked=ranked, max_dets=max_dets, size_bounds=bounds)
    protocol.size_classes("dsb")  # refuses bounds that do not ascend before anything is read
    return protocol


def _of_volumes(
    protocol: "Protocol", chosen: list[str], any_ap: bool, any_sizes: bool
) -> "tuple[list[str], Protocol]":
    """Give what volumes are scored by where nothing else was asked for: that of the MitoEM challenge, too."""
    from dataclasses import replace

    from autosam.metrics.all_scores import VOLUME_SIZES

    if any_ap:
        chosen, protocol = [*chosen, "mitoem2020"], replace(protocol, ranked=("mitoem2020",))
    return chosen, replace(protocol, size_bounds=VOLUME_SIZES) if any_sizes else protocol


def _settings(protocol: "Protocol", chosen: list[str], numbers: dict[str, int | None]) -> dict[str, Any]:
    """Give the settings of an evaluation for its JSON file."""
    return {
        "ap": chosen[0] if len(chosen) == 1 else chosen,
        "strict": protocol.strict,
        "rand": protocol.rand,
        "max_dets": protocol.max_dets,
        "size_bounds": list(protocol.size_bounds),
        "bootstrap": numbers["resamples"],
        "seed": numbers["seed"],
        "components_of_truth": numbers["truth_size"] is not None,
        "components_of_prediction": numbers["pred_size"] is not None,
        "smallest_component_px": numbers["truth_size"] or numbers["pred_size"],
        "ignore_label": numbers["ignore"],
    }


def _check_needs(*options: tuple[str, object, object, str]) -> None:
    """Refuse options that came without another one that they need."""
    from autosam.errors import InputError

    for option, given, there, needed in options:
        if given is not None and not there:
            raise InputError(f"{option} came without {needed}: add that or leave {option} out")


def _notes_of(scored: "Mapping[str, FileScores]") -> list[str]:
    """List what was noted while scoring, each note once."""
    return list(dict.fromkeys(note for found in scored.values() for note in found.notes))


def _draw(
    folder: Path,
    paired: "Mapping[str, Sequence[Pair]]",
    scored: "Mapping[str, FileScores]",
    summaries: "Mapping[str, Summary]",
    sides: dict[str, int | None],
) -> None:
    from autosam.evaluation.draw_scores import draw_scores

    draw_scores(folder, paired, scored, summaries, **sides)
    say(f"Drawn: {folder}")


def _said_of_components(size: int, truth: bool, pred: bool) -> list[str]:
    made = [side for side, wanted in (("truth", truth), ("prediction", pred)) if wanted]
    how = f"connected components (8 neighbors, 26 in 3D) of at least {size} px"
    return [f"objects of the {' and of the '.join(made)} are the {how} of semantic masks"] if made else []


def _check_places(
    places: list[str],
    compare: bool,
    pairs: Path | None,
    lists: list[str] | None,
    output: Path | None,
    volume: bool,
) -> None:
    from autosam.errors import InputError, OutputError

    if output is not None and output.exists() and not output.is_dir():
        raise OutputError(f"{output} is a file: give -o a folder")
    if pairs is not None:
        others = {"PRED TRUTH": places, "--compare": compare, "--list": lists, "--volume": volume}
        given = [name for name, value in others.items() if value]
        if given:
            raise InputError(f"--pairs came with {' and '.join(given)}: the pairs in {pairs} stand alone")
        return
    preds = places[:-1]
    if not preds or (len(preds) > 1 and not compare):
        raise InputError(
            f"{count(len(places), 'place')} came: give PRED TRUTH, --compare A B ... TRUTH or --pairs FILE.csv"
        )
    if compare and (len(preds) < 2 or len(set(preds)) < len(preds)):
        raise InputError(
            f"--compare got {', '.join(preds)} and the truth {places[-1]}: name two or more predictions"
        )


def _paired(
    places: list[str],
    pairs: Path | None,
    lists: list[str] | None,
    valid: str | None,
    *,
    volume: bool,
    roi: str | None,
    ignore: int | None,
) -> "tuple[dict[str, list[Pair]], list[str]]":
    from functools import partial

    from autosam.evaluation.lists import read_pairs, read_stems
    from autosam.evaluation.pairing import pair_predictions
    from autosam.evaluation.volume_sources import cut_pairs, parse_region, stack_slices

    region = None if roi is None else parse_region(roi)
    if pairs is not None:
        paired, notes = {str(pairs): read_pairs(pairs, valid=valid)}, list[str]()
    else:
        stems = [stem for source in lists for stem in read_stems(source)] if lists else None
        options = {"prepare": partial(stack_slices, stems=stems, ignore=ignore)} if volume else {}
        paired, notes = pair_predictions(
            places[:-1], places[-1], stems=None if volume else stems, valid=valid, **options
        )
    if region is not None:
        paired = {place: cut_pairs(listed, region) for place, listed in paired.items()}
    return paired, notes
