"""`autosam data import`: from a release in its own layout to a store, one slice in memory at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from autosam.data.linking import link_volumes
from autosam.data.manifest import Manifest
from autosam.data.sources import Release, Slice
from autosam.data.sources.losses import Losses, total_losses
from autosam.data.store import Store
from autosam.data.valid_pixels import split_ignored
from autosam.data.writer import StoreWriter
from autosam.errors import InputError
from autosam.images import ensure_folder, write_json
from autosam.images.read import read_json
from autosam.metrics.components import components
from autosam.metrics.semantic import looks_semantic

Instances = Literal["published", "components-2d", "components-3d"]
INSTANCES: tuple[str, ...] = get_args(Instances)
MIN_SIZE = 50

Tick = Callable[[str], None]
Sample = tuple[NDArray[Any], NDArray[Any] | None, NDArray[np.bool_] | None]
"""An image, its labels, and the mask of the pixels where they are complete."""


@dataclass(frozen=True)
class Terms:
    """Entries of the `Manifest` that the user gives; None leaves those of the release."""

    license: str | None = None
    citation: str | None = None
    voxel_size_nm: tuple[float, float, float] | None = None


def import_release(
    release: Release,
    output: Path,
    *,
    instances: Instances | None = None,
    min_size: int | None = None,
    unlabeled: bool = False,
    ignore: int | None = None,
    terms: Terms | None = None,
    origin: str = "",
    restart: bool = False,
    tick: Tick | None = None,
) -> tuple[Store, list[str]]:
    """Bring a release into a store; the result is the store and notes for the user.

    Parameters
    ----------
    release : Release
        From `open_release`.
    output : Path
        The store to be: .h5, .hdf5, .hdf or .zarr.
    instances : {"published", "components-2d", "components-3d"}, optional
        Take the ids as they are, or the connected components of everything that is not 0. By default semantic
        masks become 2D components and ids stay.
    min_size : int, optional
        Smallest component, in pixels of a slice or voxels of a volume; 50 by default.
    unlabeled : bool
        Import the slices without labels too.
    ignore : int, optional
        Number in the labels of pixels that do not count: the store has a mask of the others. `open_release` has to
        know it too where it is negative.
    terms : Terms, optional
        Entries of the manifest that the user gives.
    origin, restart
        Those of `StoreWriter`.
    tick : callable, optional
        Called with "read" or "pack" after each slice of that step.

    Raises
    ------
    InputError, OutputError
        If nothing is labeled, a slice cannot be read or does not fit its volume, no outlined object is left, the
        store exists or cannot be written.
    """
    how: Instances = instances or ("components-2d" if release.labels == "semantic" else "published")
    if how == "published" and release.labels == "semantic":
        raise InputError(
            f"{release.source} has semantic masks, not ids; choose components-2d or components-3d as instances."
        )
    if how == "published" and min_size is not None:
        raise InputError("a smallest size needs connected components; leave it out, or choose components.")
    if min_size is not None and min_size < 1:
        raise InputError(f"the smallest size is {min_size}; wanted 1 or more.")
    slices = [piece for piece in release.slices if piece.labeled or unlabeled]
    if not slices:
        raise InputError(f"{release.source} has no labeled slice here; import images alone with --unlabeled.")
    size = MIN_SIZE if min_size is None else min_size
    tell = tick or (lambda step: None)

    writer = Store.create(
        output, _manifest(release, how, size, terms or Terms(), ignore), origin=origin, restart=restart
    )
    looks: list[bool] = []

    def read(piece: Slice) -> Sample:
        image, labels = piece.read()
        if labels is None:
            return image, None, None
        labels, valid = split_ignored(labels, None if piece.valid is None else piece.valid(), ignore=ignore)
        if how == "published":
            if labels.dtype.kind in "biu" and labels.any() and not piece.losses.counts:
                looks.append(looks_semantic(labels))
            return image, labels, valid
        # In 3D, pieces of a slice may be small: the size is that of the whole.
        return image, components(labels, min_size=size if how == "components-2d" else 1), valid

    before = _append(slices, read, writer, tell)
    losses = total_losses(_losses_of(piece, writer) for piece in slices)
    _refuse_nothing(losses, release, writer)
    labeled = [item for item in writer.items if item.labels_dtype is not None]
    relabel = link_volumes(labeled, writer.labels, min_size=size) if how == "components-3d" else None
    path = writer.finish(relabel=relabel, notes=losses.notes(), tick=lambda: tell("pack"))
    # A branching object can be alone in some slices of a volume: it looks like a mask only if all slices do.
    suspect = 0 if release.labels == "ids-3d" and not all(looks) else sum(looks)
    return Store.open(path), _notes(release, slices, suspect, before)


def _append(slices: list[Slice], read: Callable[[Slice], Sample], writer: StoreWriter, tell: Tick) -> int:
    """Read the slices into the journal, and count those that an interrupted run had read."""
    before = 0
    try:
        for piece in slices:
            before += not writer.append(
                piece.name,
                _remembered(piece, partial(read, piece), writer),
                group=piece.group,
                volume=piece.volume,
                z=piece.z,
                split=piece.split,
            )
            tell("read")
    except InputError:
        writer.refused()
        raise
    return before


def _remembered(piece: Slice, read: Callable[[], Sample], writer: StoreWriter) -> Callable[[], Sample]:
    """Keep a slice's losses in the journal, for a run that goes on with it."""

    def reading() -> Sample:
        found = read()
        if piece.losses.counts:
            file = _losses_file(piece, writer)
            ensure_folder(file.parent)
            write_json(file, piece.losses.dumps())
        return found

    return reading


def _losses_of(piece: Slice, writer: StoreWriter) -> Losses:
    file = _losses_file(piece, writer)
    return Losses.loads(read_json(file)) if file.exists() else Losses()


def _losses_file(piece: Slice, writer: StoreWriter) -> Path:
    return writer.folder / "losses" / f"{piece.name}.json"


def _refuse_nothing(losses: Losses, release: Release, writer: StoreWriter) -> None:
    """Refuse a release all of whose objects are lost: a store without any is no success."""
    if losses.objects and not losses.drawn:
        writer.abandon()
        raise InputError(
            f"no object of the {release.source} data could be drawn: {'; '.join(losses.notes())}. Check the names "
            "of categories or classes (--target), and that images and outlines belong together."
        )


def _manifest(release: Release, how: Instances, min_size: int, terms: Terms, ignore: int | None) -> Manifest:
    made = release.made
    if how != "published":
        space = "pixels, 8 neighbors" if how == "components-2d" else "voxels, 26 neighbors"
        made = f"connected components of at least {min_size} {space}, of: {made}"
    return Manifest(
        release.source,
        license=release.license if terms.license is None else terms.license,
        citation=release.citation if terms.citation is None else terms.citation,
        voxel_size_nm=release.voxel_size_nm if terms.voxel_size_nm is None else terms.voxel_size_nm,
        ids="3d" if how == "components-3d" or (how == "published" and release.labels == "ids-3d") else "2d",
        instances=made,
        min_size=None if how == "published" else min_size,
        notes=(*release.notes, *([] if ignore is None else [f"pixels of the number {ignore} do not count"])),
    )


def _notes(release: Release, slices: list[Slice], suspect: int, before: int) -> list[str]:
    notes = []
    if before:
        notes.append(f"{before} slice(s) were read already by an interrupted import; --restart reads them again")
    if suspect:
        notes.append(
            f"{suspect} slice(s) hold one id alone, or few ids in many pieces each, like a semantic mask; "
            "--instances components-2d divides it"
        )
    left = len(release.slices) - len(slices)
    if left:
        notes.append(f"{left} slice(s) without labels were left out; --unlabeled imports them")
    return notes
