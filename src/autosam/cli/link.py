"""`autosam link`: labels of single slices, of any program, become instances in 3D."""

from collections.abc import Sequence
from pathlib import Path

import typer

from autosam.cli.console import interruptible, note, say
from autosam.cli.interrupts import leaving_at_once
from autosam.cli.options import ConfigFile, OmeVersionOption, Settings, ome_version_of
from autosam.cli.progress import progress
from autosam.cli.words import count

SETTINGS = (
    "link_reach",
    "link_iou",
    "link_containment",
    "link_taper",
    "fill_overlap",
    "cut_merges",
    "partition",
    "min_slices",
    "min_size",
)
"""Of the section ``volume``, those that are read here."""


def link(
    labels: str = typer.Argument(
        ...,
        metavar="LABELS",
        help="A folder or a quoted pattern of label images, one for each slice; a multi-page TIFF, OME-Zarr, "
        "Zarr, FILE.h5:/DATASET. Ids mean nothing beyond their own slice.",
        show_default=False,
    ),
    out: Path = typer.Option(
        ..., "--output", "--out", "-o", metavar="FILE", help="The volume: NAME.zarr, NAME.tif or NAME.h5."
    ),
    fill: bool = typer.Option(
        False, "--fill", help="Interpolate an object that is missing in one or two slices between others."
    ),
    voxel_size: str | None = typer.Option(
        None, metavar="Z,Y,X", help="Sides of a voxel in nm, or one number for all. [what the file says]"
    ),
    axes: str | None = typer.Option(
        None, metavar="zyx", help="Order of the axes of an array that does not name them. [the usual one]"
    ),
    config: ConfigFile = None,
    settings: Settings = None,
    ome_version: OmeVersionOption = "0.5",
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace an output that exists."),
) -> None:
    """Link the labels of slices into instances of a volume, without a network.

    autosam volume does the same with its own objects: those that overlap belong together, also across one or two
    slices without them. The labels can be of any program, or drawn by hand. How they are linked is set with --set
    volume.link_iou=... and others, see autosam settings volume. No instance is left out unless volume.min_slices
    or volume.min_size is set.
    """
    with leaving_at_once():
        from autosam.config import load_config
        from autosam.images.overwriting import refuse_among_slices, refuse_overwriting
        from autosam.volumes.label_output import check_suffix
        from autosam.volumes.open_volume import NO_VOXEL_SIZE, open_label_volume
        from autosam.volumes.region_of_interest import parse_voxel_size
        from autosam.volumes.write_linked import LinkOptions, link_volume

        version = ome_version_of(ome_version)
        # What a person or another program has labeled is taken as true.
        resolved = load_config(config, overrides=settings or (), defaults={"volume": {"min_slices": 1}})
        _refuse_unread(settings or ())
        check_suffix(out)
        refuse_overwriting(out, [labels])
        refuse_among_slices(out, labels)
        source = open_label_volume(
            labels, voxel_size=None if voxel_size is None else parse_voxel_size(voxel_size), axes=axes
        )
        for text in source.notes:
            # Nothing is measured here.
            if text != NO_VOXEL_SIZE:
                note(text)
    with interruptible("nothing is half written"), progress("volume", 100, "%") as bar:

        def watch(doing: str, done: int, total: int) -> None:
            bar.update((50 if doing == "writing" else 0) + 50 * done / total, doing)

        linked = link_volume(source, out, resolved.volume, LinkOptions(fill, version, overwrite), watch=watch)
    filled = sum(len(objects) for objects in linked.filled.values())
    interpolated = f", {count(filled, 'object')} interpolated" if fill else ""
    say(f"{count(len(linked.ids), 'object')} linked into {count(linked.count, 'instance')}{interpolated}: {out}")


def _refuse_unread(settings: Sequence[str]) -> None:
    """Refuse settings of other commands, which would change nothing."""
    from autosam.errors import ConfigError

    read = [f"volume.{name}" for name in SETTINGS]
    for text in settings:
        key = text.partition("=")[0].strip()
        if key == "volume.fill":
            raise ConfigError(f"--set {text}: here --fill interpolates what is missing, and SAM is not asked.")
        if key not in read:
            raise ConfigError(f"--set {text} changes nothing here; autosam link reads {', '.join(read)}.")
