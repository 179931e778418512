"""What `autosam evaluate` was asked to compare, and by which definitions."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from autosam.cli.words import count

if TYPE_CHECKING:
    from autosam.evaluation.pairing import Pair
    from autosam.metrics.all_scores import Protocol
    from autosam.metrics.rand import RandConvention


def make_protocol(
    chosen: list[str], strict: bool, rand: "RandConvention", max_dets: int | None, sizes: str | None
) -> "Protocol":
    """Make the protocol that options ask for; refuse bounds of sizes that are none."""
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


def protocol_of_volumes(
    protocol: "Protocol", chosen: list[str], any_ap: bool, any_sizes: bool
) -> "tuple[list[str], Protocol]":
    """Give what volumes are scored by where nothing else was asked for: that of the MitoEM challenge, too."""
    from dataclasses import replace

    from autosam.metrics.all_scores import VOLUME_SIZES

    if any_ap:
        chosen, protocol = [*chosen, "mitoem2020"], replace(protocol, ranked=("mitoem2020",))
    return chosen, replace(protocol, size_bounds=VOLUME_SIZES) if any_sizes else protocol


def settings_of(protocol: "Protocol", chosen: list[str], numbers: dict[str, int | None]) -> dict[str, Any]:
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


def check_needs(*options: tuple[str, object, object, str]) -> None:
    """Refuse options that came without another one that they need."""
    from autosam.errors import InputError

    for option, given, there, needed in options:
        if given is not None and not there:
            raise InputError(f"{option} came without {needed}: add that or leave {option} out")


def check_places(
    places: list[str],
    compare: bool,
    pairs: Path | None,
    lists: list[str] | None,
    output: Path | None,
    volume: bool,
) -> None:
    """Refuse places that are too few or too many, or come with options that do not go with them."""
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


def find_pairs(
    places: list[str],
    pairs: Path | None,
    lists: list[str] | None,
    valid: str | None,
    *,
    volume: bool,
    roi: str | None,
    ignore: int | None,
) -> "tuple[dict[str, list[Pair]], list[str]]":
    """Pair what is to be compared, and give notes on it."""
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
