"""Small square images cut out of large ones, each with its labels."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.data.folders import renumbered
from autosam.data.manifest import Item
from autosam.data.store import Store
from autosam.data.writer import StoreWriter
from autosam.errors import ConfigError, InputError
from autosam.images import Window
from autosam.images.overwriting import refuse_overwriting


@dataclass(frozen=True, eq=False)
class Patch:
    """One patch.

    Attributes
    ----------
    item : Item
        Named after its image and its first row and column: ``NAME_r0256_c0512``. The patches at one place of a
        volume are a volume themselves, with the z of their slices; group and part are those of the image.
    image, labels : ndarray, shape (size, size); colors (size, size, 3)
        Objects are cut at the border. Ids that hold in one image are renumbered, 1 to n in the old order; those
        that hold across the slices of a volume are kept. No labels where the image has none.
    valid : ndarray of bool, shape (size, size), or None
        The mask of the pixels where labels are complete, as the image has it.
    """

    item: Item
    image: NDArray[Any]
    labels: NDArray[Any] | None
    valid: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class PatchCount:
    """How many images were read, and patches written or dropped for too little foreground.

    Images that are smaller than a patch are counted as too small and are not read.
    """

    images: int
    kept: int
    dropped: int
    too_small: int


def patch_windows(shape: tuple[int, ...], *, size: int, stride: int, cover: bool = False) -> list[Window]:
    """Lay patches over an image, row by row; none sticks out, and a smaller image has none.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the image; further axes are ignored.
    size, stride : int
        Side of a patch, and the step from one to the next, in pixels.
    cover : bool
        What is left over at the end of a row or column gets a patch too, flush with the image's border.

    Examples
    --------
    >>> len(patch_windows((768, 1024), size=256, stride=256))
    12
    >>> [window.col for window in patch_windows((4, 10), size=4, stride=4, cover=True)]
    [0, 4, 6]
    """
    if size < 1 or stride < 1:
        raise ConfigError(f"the patch size is {size} and the stride {stride}; wanted at least 1 for both.")
    rows, cols = (_starts(length, size, stride, cover) for length in shape[:2])
    return [Window(row, col, size, size) for row in rows for col in cols]


def _starts(length: int, size: int, stride: int, cover: bool) -> list[int]:
    starts = list(range(0, length - size + 1, stride))
    if cover and starts and starts[-1] + size < length:
        starts.append(length - size)
    return starts


def cut_patches(
    store: Store,
    *,
    size: int,
    stride: int | None = None,
    cover: bool = False,
    min_foreground: int = 0,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[Patch | None]:
    """Cut every image of a store, one after the other; None stands for a patch that was dropped.

    Parameters
    ----------
    store : Store
        The images.
    size, stride, cover
        Those of `patch_windows`; the stride is the size by default.
    min_foreground : int
        Patches with fewer pixels of foreground are dropped. So are those of single images in which no pixel is
        valid.
    tick : callable
        Called after each image.

    Raises
    ------
    ConfigError, InputError
        If size or stride is below 1; if an image cannot be read, or foreground is asked for and it has no labels.
    """
    for item in store.items:
        windows = patch_windows(item.shape, size=size, stride=stride or size, cover=cover)
        if windows and item.labels_dtype is None and min_foreground:
            raise InputError(f"{item.name} has no labels, so its empty patches are not known: keep them all.")
        if windows:
            image = store.image(item.name)
            labels = None if item.labels_dtype is None else store.labels(item.name)
            valid = store.valid(item.name)
            for window in windows:
                place = np.s_[window.row : window.row + size, window.col : window.col + size]
                ids = None if labels is None else labels[place]
                known = None if valid is None else valid[place]
                unknown = known is not None and store.manifest.ids == "2d" and not known.any()
                if unknown or (ids is not None and np.count_nonzero(ids) < min_foreground):
                    yield None
                    continue
                if ids is not None and store.manifest.ids == "2d" and ids.any():
                    ids = renumbered(ids).astype(ids.dtype)
                yield Patch(_item(item, window), image[place], ids, known)
        tick()


def _item(item: Item, window: Window) -> Item:
    where = f"_r{window.row:04d}_c{window.col:04d}"
    return replace(
        item,
        name=item.name + where,
        volume=None if item.volume is None else item.volume + where,
        shape=(window.height, window.width, *item.shape[2:]),
    )


def write_patches(
    store: Store,
    path: Path,
    *,
    size: int,
    stride: int | None = None,
    cover: bool = False,
    min_foreground: int = 0,
    restart: bool = False,
    tick: Callable[[], None] = lambda: None,
) -> PatchCount:
    """Cut a store into a new one, as `cut_patches` does; an interrupted run continues where it stopped.

    The parts of the store are kept, so split it before.

    Raises
    ------
    ConfigError, InputError, OutputError
        Those of `cut_patches` and of `StoreWriter`; also where no patch is left, or `path` is the store itself.
    """
    refuse_overwriting(path, [store.path])
    cuts = [patch_windows(item.shape, size=size, stride=stride or size, cover=cover) for item in store.items]
    if not any(cuts):
        sides = sorted({f"{item.shape[0]} × {item.shape[1]}" for item in store.items})
        raise InputError(
            f"no image of {store.path} holds a patch of {size} × {size}: they are {', '.join(sides[:5])}."
        )
    how = f"patches of {size} × {size} px every {stride or size} px" + ", the rest covered" * cover
    how += f", those with less than {min_foreground} px of foreground dropped" * (min_foreground > 0)
    how += "; ids renumbered in each" if store.manifest.ids == "2d" else "; ids of the whole volumes"
    notes = (*store.manifest.notes, how)
    kept = dropped = 0
    manifest = replace(store.manifest, items=(), notes=notes)
    writer = StoreWriter(path, manifest, origin=str(store.path.resolve()), restart=restart)
    for patch in cut_patches(
        store, size=size, stride=stride, cover=cover, min_foreground=min_foreground, tick=tick
    ):
        if patch is None:
            dropped += 1
            continue
        image, labels, valid, item = patch.image, patch.labels, patch.valid, patch.item
        writer.append(
            item.name,
            lambda image=image, labels=labels, valid=valid: (image, labels, valid),  # type: ignore[misc]
            group=item.group,
            volume=item.volume,
            z=item.z,
            split=item.split,
        )
        kept += 1
    if not kept:
        # There is nothing to continue.
        writer.abandon()
        raise InputError(f"none of the {dropped} patches of {store.path} has foreground; keep the empty ones too.")
    writer.finish()
    return PatchCount(sum(map(bool, cuts)), kept, dropped, sum(not cut for cut in cuts))
