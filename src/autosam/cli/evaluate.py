"""`autosam evaluate`: scores of label files against the truth, as a table, CSV, JSON and figures."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

if TYPE_CHECKING:
    pass


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
        help="Tell where objects are lost: in volumes, or in an output folder of segment, whose images are "
        "segmented again.",
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
        help="coco, mitoem2020: rank by the run's table of instances or by size. [table where all have one]",
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
    from autosam.cli.evaluation_diagnosis import diagnose_results, open_diagnosed, refuse_others
    from autosam.cli.evaluation_inputs import (
        check_needs,
        check_places,
        find_pairs,
        make_protocol,
        protocol_of_volumes,
    )
    from autosam.cli.evaluation_scores import WantedScores, score_and_tell
    from autosam.cli.volume_diagnosis import diagnose_volumes
    from autosam.evaluation.open_pair import ObjectRules
    from autosam.evaluation.volume_sources import all_volumes

    given = places or []
    check_places(given, compare, pairs, lists, output, volume)
    chosen = list(dict.fromkeys(a.value for a in ap or [Ap.DSB]))
    ranked = chosen != ["dsb"]
    check_needs(
        ("--min-size", min_size, components or pred_components, "--components or --pred-components"),
        ("--max-dets", max_dets, ranked, "--ap coco or --ap mitoem2020"),
        ("--scores", scores, ranked, "--ap coco or --ap mitoem2020"),
        ("--device", device, diagnose, "--diagnose, which alone runs a model"),
        ("--figures", figures or None, output, "-o, the folder that they go to"),
    )
    if diagnose:
        refuse_others({"--compare": compare, "--pairs": pairs, "--strict": strict}, "one prediction at IoU >= .5")
    protocol = make_protocol(chosen, strict, rand, max_dets, sizes)
    size = 50 if min_size is None else min_size
    smallest = {"truth_size": size if components else None, "pred_size": size if pred_components else None}
    sides = {**smallest, "ignore": ignore_label}
    paired, notes = find_pairs(given, pairs, lists, valid, volume=volume, roi=roi, ignore=ignore_label)
    first = next(iter(paired.values()))
    volumes = all_volumes(first, ignore=ignore_label)
    if volumes:
        chosen, protocol = protocol_of_volumes(protocol, chosen, ap is None, sizes is None)
    run = None
    if diagnose and volumes:
        refuse_others({"--device": device}, "volumes, whose labels tell enough")
    elif diagnose:
        refuse_others({"--pred-components": pred_components}, "a folder that segment wrote")
        run = open_diagnosed(given, paired, ignore_label, device=device or "auto")
    wanted = WantedScores(chosen, protocol, scores or "auto", sides, bootstrap, seed, wide, volumes, roi)
    notes = [*_said_of_components(size, components, pred_components), *notes]
    compared = str(pairs or f"{', '.join(paired)} against {given[-1]}")
    score_and_tell(compared, paired, notes, wanted, output, figures=figures)
    if run is not None:
        diagnose_results(run, first, sides["truth_size"], output)
    elif diagnose:
        diagnose_volumes(first, ObjectRules(**sides), output, roi=roi)


def _said_of_components(size: int, truth: bool, pred: bool) -> list[str]:
    made = [side for side, wanted in (("truth", truth), ("prediction", pred)) if wanted]
    how = f"connected components (8 neighbors, 26 in 3D) of at least {size} px"
    return [f"objects of the {' and of the '.join(made)} are the {how} of semantic masks"] if made else []
