"""OME-Zarr 0.4 and 0.5: the image, and its labels beside it in ``labels/NAME``.

Written with zarr alone: the metadata are few, and the libraries for them bring dask and more.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from autosam.errors import InputError
from autosam.images import atomic_path
from autosam.images.write import write_memory_store
from autosam.report.exports.export_item import ExportItem, color_of

OmeZarrVersion = Literal["0.4", "0.5"]
_SMALLEST = 256
"""Levels are added until rows and columns are no more than this."""
_CHUNK = 1024
_PROPERTIES = ("score", "area", "area_um2", "perimeter", "circularity")


def write_ome_zarr(path: Path, item: ExportItem, *, version: OmeZarrVersion = "0.5") -> None:
    """Write an image with its labels, both as pyramids, with the scale in µm where it is known.

    A pixel of a smaller label level has the id of most of its 2 × 2 pixels; ids are never mixed.
    Of a tie, an object goes before background, then the first of the four. Image levels are means of 2 × 2 pixels.
    A volume is halved in rows and columns only.

    Raises
    ------
    InputError
        If the image's pixels are not at hand, or are of a type that Zarr does not have.
    """
    image = item.image
    if image is None:
        raise InputError(
            f"{item.name}: an OME-Zarr holds the image beside the labels, and the image is not there."
        )
    contents: dict[str, Buffer] = {}
    store = MemoryStore(contents)
    axes = "zyx" if item.volume else "yx"
    if image.ndim > len(axes):
        # Channels come before space.
        image, axes = np.moveaxis(image, -1, 0), "c" + axes
    root = zarr.open_group(store, mode="w", zarr_format=2 if version == "0.4" else 3)
    shown = {"omero": _display(image, axes)}
    _write_scales(root, item, _means(image), axes, version, more=shown)
    labels = root.create_group("labels")
    _put(labels, {"labels": [item.name]}, version)
    ids = labels.create_group(item.name)
    _write_scales(
        ids, item, _modes(item.labels), axes.removeprefix("c"), version, more=_about_labels(item, version)
    )
    with atomic_path(path) as temporary:
        write_memory_store(temporary, contents)


def _put(group: "zarr.Group", attributes: dict[str, Any], version: OmeZarrVersion) -> None:
    """Write metadata: at the top in 0.4, under `ome` since."""
    group.attrs.update(attributes if version == "0.4" else {"ome": {"version": version, **attributes}})


def _write_scales(
    group: "zarr.Group",
    item: ExportItem,
    levels: list[NDArray[Any]],
    axes: str,
    version: OmeZarrVersion,
    *,
    more: dict[str, Any],
) -> None:
    um = None if item.pixel_size_nm is None else item.pixel_size_nm / 1000
    datasets = []
    for number, level in enumerate(levels):
        chunks = tuple(min(_CHUNK, n) if axis in "yx" else 1 for axis, n in zip(axes, level.shape, strict=True))
        if version == "0.4":
            separator: Any = {"name": "v2", "separator": "/"}
            array = group.create_array(
                str(number), shape=level.shape, dtype=level.dtype, chunks=chunks, chunk_key_encoding=separator
            )
        else:
            array = group.create_array(
                str(number), shape=level.shape, dtype=level.dtype, chunks=chunks, dimension_names=list(axes)
            )
        array[...] = level
        size = (um or 1.0) * 2**number
        transforms = [{"type": "scale", "scale": [size if axis in "yx" else 1.0 for axis in axes]}]
        if number:
            # The center of its first pixel lies between those of the pixels that it stands for.
            offset = (size - (um or 1.0)) / 2
            shift = [offset if axis in "yx" else 0.0 for axis in axes]
            transforms.append({"type": "translation", "translation": shift})
        datasets.append({"path": str(number), "coordinateTransformations": transforms})
    scales = {"name": item.name, "axes": [_axis(axis, um) for axis in axes], "datasets": datasets}
    if version == "0.4":
        scales["version"] = version
    _put(group, {"multiscales": [scales], **more}, version)


def _axis(name: str, um: float | None) -> dict[str, str]:
    if name == "c":
        return {"name": name, "type": "channel"}
    # The distance of slices is not known.
    unit = {"unit": "micrometer"} if um is not None and name != "z" else {}
    return {"name": name, "type": "space", **unit}


def _display(image: NDArray[Any], axes: str) -> dict[str, Any]:
    """Tell viewers how to show the channels: three of 8 bits are red, green and blue, all others gray."""
    channels = list(image) if axes.startswith("c") else [image]
    color = len(channels) == 3 and image.dtype == np.uint8
    shown = []
    for number, channel in enumerate(channels):
        known = channel[np.isfinite(channel)] if channel.dtype.kind == "f" else channel.ravel()
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        window = {"min": low, "max": high, "start": 0.0 if color else low, "end": 255.0 if color else high}
        tint = ("FF0000", "00FF00", "0000FF")[number] if color else "FFFFFF"
        shown.append({"label": f"channel {number}", "color": tint, "active": True, "window": window})
    # The specification spells it this way.
    return {"channels": shown, "rdefs": {"model": "color" if color else "greyscale"}}


def _about_labels(item: ExportItem, version: OmeZarrVersion) -> dict[str, Any]:
    """Give colors and measurements of all objects; those of an object in several slices are its largest's."""
    found: dict[int, dict[str, Any]] = {}
    for plane in item.planes:
        columns = {
            name: values.tolist()
            for name, values in plane.table.columns.items()
            if name in _PROPERTIES or name.startswith("intensity_mean")
        }
        for row, label in enumerate(plane.table["label"].tolist()):
            # NaN, which is not known, is unequal to itself.
            known = {name: values[row] for name, values in columns.items() if values[row] == values[row]}
            if label not in found or known["area"] > found[label]["area"]:
                found[label] = {"label-value": label, **known}
    about: dict[str, Any] = {
        "colors": [{"label-value": label, "rgba": [*color_of(label), 255]} for label in sorted(found)],
        "properties": [found[label] for label in sorted(found)],
        "source": {"image": "../../"},
    }
    # Since 0.5 the version stands above.
    return {"image-label": {"version": version, **about} if version == "0.4" else about}


def _blocks(level: NDArray[Any]) -> NDArray[Any]:
    """Give the four pixels of each 2 × 2 block, first axis; an odd last row or column counts twice."""
    height, width = level.shape[-2:]
    margins = [(0, 0)] * (level.ndim - 2) + [(0, height % 2), (0, width % 2)]
    padded = np.pad(level, margins, mode="edge")
    return np.stack([padded[..., row::2, col::2] for row in (0, 1) for col in (0, 1)])


def _modes(labels: NDArray[np.integer[Any]]) -> list[NDArray[Any]]:
    levels = [labels]
    while max(levels[-1].shape[-2:]) > _SMALLEST:
        block = _blocks(levels[-1])
        votes = np.stack([2 * (block == pixel).sum(axis=0, dtype=np.int8) + (pixel != 0) for pixel in block])
        levels.append(np.take_along_axis(block, votes.argmax(axis=0)[None], axis=0)[0])
    return levels


def _means(image: NDArray[Any]) -> list[NDArray[Any]]:
    levels = [image]
    while max(levels[-1].shape[-2:]) > _SMALLEST:
        mean = _blocks(levels[-1]).mean(axis=0, dtype=np.float64)
        levels.append((np.rint(mean) if image.dtype.kind in "iu" else mean).astype(image.dtype))
    return levels
