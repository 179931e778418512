"""From labels of slices on disk to labels of a volume on disk, without a network."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.config.volume_section import VolumeConfig
from autosam.errors import InputError
from autosam.images.write import smallest_unsigned
from autosam.volumes.label_output import LabelOutput, open_output, refuse_existing
from autosam.volumes.link_labels import LinkedLabels, link_labels
from autosam.volumes.ome_zarr_output import OmeVersion
from autosam.volumes.partition import require_package
from autosam.volumes.pyramid import write_level
from autosam.volumes.store_levels import Region
from autosam.volumes.volume_source import VolumeSource

Watch = Callable[[str, int, int], None]
"""Is told what is being done, how much is done, and of how much."""


@dataclass(frozen=True)
class LinkOptions:
    """What else `link_volume` does.

    Attributes
    ----------
    fill : bool
        Interpolate what is missing, see `link_labels`.
    ome_version : {"0.4", "0.5"}
        Of an OME-Zarr output.
    overwrite : bool
        Replace an output that exists.
    """

    fill: bool = False
    ome_version: OmeVersion = "0.5"
    overwrite: bool = False


def link_volume(
    source: VolumeSource,
    out: Path,
    settings: VolumeConfig,
    options: LinkOptions | None = None,
    *,
    watch: Watch = lambda doing, done, total: None,
) -> LinkedLabels:
    """Link the slices of labels and write them as one volume.

    Parameters
    ----------
    source : VolumeSource
        Of `open_label_volume`. Slices without a file are empty, and are bridged.
    out : Path
        See `open_output`.

    Raises
    ------
    InputError
        If there is a single slice, an id is negative, or a slice cannot be read. Nothing has been written then.
    OutputError
        As of `open_output`.
    """
    options = options or LinkOptions()
    depth, height, width = source.shape
    if depth == 1:
        raise InputError(f"{source.name} is one slice of {height} × {width} pixels; wanted several to link.")
    require_package(settings.partition)
    refuse_existing(out, overwrite=options.overwrite)
    whole = (slice(0, height), slice(0, width))
    linked = link_labels(
        lambda z: None if z + source.origin[0] in source.missing else source.read(z, whole),
        depth,
        settings=settings,
        fill=options.fill,
        advance=lambda done: watch("linking", done, depth),
    )
    said = (source.fingerprint, settings.model_dump_json(), options.fill)
    output = open_output(
        out,
        shape=source.shape,
        dtype=smallest_unsigned(linked.count),
        voxel_size=source.voxel_size,
        identity=hashlib.sha256(repr(said).encode()).hexdigest(),
        ome_version=options.ome_version,
        origin=source.origin,
        overwrite=options.overwrite,
    )
    _write(source, linked, output, watch)
    output.finish().close()
    return linked


def _write(source: VolumeSource, linked: LinkedLabels, output: LabelOutput, watch: Watch) -> None:
    store, done = output.store, 0
    total = sum(len(level.regions()) for level in store.levels)
    for number, level in enumerate(store.levels):
        for region in level.regions():
            if not store.is_written(region, number):
                if number:
                    write_level(store, region, number)
                else:
                    store.write(region, _relabel(source, linked, region, np.dtype(store.dtype)))
            done += 1
            watch("writing", done, total)


def _relabel(
    source: VolumeSource, linked: LinkedLabels, region: Region, dtype: np.dtype[Any]
) -> NDArray[np.integer[Any]]:
    slices, rows, cols = region
    labels = np.zeros([part.stop - part.start for part in region], dtype)
    for z in range(slices.start, slices.stop):
        gone = z + source.origin[0] in source.missing
        here = np.zeros(labels.shape[1:], np.uint8) if gone else source.read(z, (rows, cols))
        labels[z - slices.start] = linked.relabel(z, here, corner=(rows.start, cols.start))
    return labels
