"""The journal of an import: one file for each slice, with what the manifest says of it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.data.backends import ArrayKind
from autosam.errors import InputError
from autosam.images import atomic_path, smallest_unsigned
from autosam.images.formats import reading


def write_part(
    file: Path,
    name: str,
    image: NDArray[Any],
    labels: NDArray[Any] | None,
    valid: NDArray[np.bool_] | None = None,
) -> None:
    """Write an image, (H, W) or (H, W, 3), its labels and mask, (H, W), to an `.npz` file, whole or not at all.

    Labels are kept in the smallest unsigned type that holds them. Other arrays, and two of different sizes, are
    refused. `name` is the image's, for messages.
    """
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or image.size == 0:
        raise InputError(f"the image {name} has shape {image.shape}; wanted (H, W) or (H, W, 3), not empty.")
    if image.dtype.kind not in "biuf":
        raise InputError(f"the image {name} holds {image.dtype} values; wanted numbers.")
    parts: dict[str, NDArray[Any]] = {"image": _as_stored(image), "shape": np.array(image.shape)}
    parts["dtype"] = np.array(parts["image"].dtype.name)
    if labels is not None:
        if labels.shape != image.shape[:2]:
            raise InputError(f"{name} has an image of {image.shape[:2]} and labels of {labels.shape}.")
        if labels.dtype.kind not in "biu":
            raise InputError(f"the labels of {name} are {labels.dtype}; wanted ids: integers, 0 for background.")
        if labels.dtype.kind == "i" and labels.min() < 0:
            raise InputError(f"the labels of {name} hold the negative id {labels.min()}; wanted 0 and above.")
        top = int(labels.max())
        parts["labels"] = labels.astype(smallest_unsigned(top))
        parts["top"] = np.array(top, np.uint64)
    if valid is not None:
        if valid.shape != image.shape[:2]:
            raise InputError(
                f"{name} has an image of {image.shape[:2]} and a mask of valid pixels of {valid.shape}."
            )
        parts["valid"] = np.where(valid, 255, 0).astype(np.uint8)
    with atomic_path(file) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **parts)


def read_part(file: Path, kind: ArrayKind) -> NDArray[Any]:
    """Read back the image or the labels; the other is not unpacked."""
    with reading(file), np.load(file) as part:
        array: NDArray[Any] = part[kind]
    return array


def describe_part(file: Path) -> tuple[tuple[int, ...], str, int | None, bool]:
    """Read shape and type of the image, the highest id, None where there are no labels, and if there is a mask."""
    with reading(file), np.load(file) as part:
        shape = tuple(int(n) for n in part["shape"])
        return shape, str(part["dtype"]), int(part["top"]) if "top" in part else None, "valid" in part


def _as_stored(image: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(image, np.uint8 if image.dtype == bool else image.dtype.newbyteorder("="))
