"""`autosam.segment_volume`: a volume from Python, in one call."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autosam.models.files.file_hash import file_sha256
from autosam.models.files.zoo import resolve_model
from autosam.pipeline.batch_workers import ModelChoice
from autosam.pipeline.segmenter import DEFAULT_MODEL
from autosam.volumes.ome_zarr_output import OmeVersion
from autosam.volumes.open_volume import open_volume
from autosam.volumes.passes import Watch
from autosam.volumes.region_of_interest import Roi
from autosam.volumes.segment_volume import VolumeOptions, segment_source
from autosam.volumes.volume_files import VolumeResult
from autosam.volumes.volume_source import VolumeSource


def segment_volume(
    volume: Any,
    *,
    out: str | Path,
    model: str | Path = DEFAULT_MODEL,
    config: str | Path | None = None,
    overrides: Sequence[str] = (),
    device: str = "auto",
    voxel_size: Sequence[float] | float | None = None,
    diameter: float | None = None,
    roi: Roi | None = None,
    axes: str | None = None,
    channel: int | str | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    ome_version: OmeVersion = "0.5",
    overwrite: bool = False,
    watch: Watch | None = None,
) -> VolumeResult:
    """Find every object of a volume, as instances in 3D.

    The call can be repeated: what an interrupted one has done is not done again.

    Parameters
    ----------
    volume : str, Path, array or VolumeSource
        A file or folder, see `open_volume`; or an array of NumPy, Zarr or dask, (Z, Y, X) or (Z, Y, X, 3).
    out : str or Path
        The labels: ``NAME.zarr``, ``NAME.tif`` or ``NAME.h5``. The tables, the sheet, the run record and the files
        of tasks lie beside them.
    model : str or Path
        Name of a bundled model, or a file.
    config : str or Path, optional
        YAML file of settings over those that the model brings.
    overrides : sequence of str
        ``section.key=value``, over everything else.
    device : str
        ``auto``, ``cpu``, ``cuda`` ...
    voxel_size : sequence of float, optional
        Sides of a voxel along z, y and x in nm, or one number for all; by default as the file says.
    diameter : float, optional
        Typical diameter of the objects in pixels of a slice.
    roi : tuple of slice, optional
        Slices, rows and columns to take alone.
    axes, channel : optional
        See `open_volume`.
    workers : int
        Processes on this machine. They are spawned, so a script that uses them must not begin its work at import,
        but below ``if __name__ == "__main__":``.
    scheduler : str, optional
        Address of a dask scheduler, instead of ``workers``.
    ome_version : {"0.5", "0.4"}
    overwrite : bool
        The output may take the place of another run's.
    watch : callable, optional
        Is told after each task what was found so far, see `PassResults`.

    Returns
    -------
    VolumeResult
        With the files that were written. A volume without objects gives labels of 0 and a table without rows.

    Raises
    ------
    AutosamError
        If an input, a setting or the output cannot be used, or another run writes this output.
    """
    source = (
        volume
        if isinstance(volume, VolumeSource)
        else open_volume(volume, voxel_size=voxel_size, axes=axes, channel=channel)
    )
    source = source if roi is None else source.cut(roi)
    choice = ModelChoice(model, config, tuple(overrides))
    options = VolumeOptions(device, diameter, workers, scheduler, ome_version, overwrite)
    sha256 = file_sha256(resolve_model(model))
    return segment_source(source, Path(out), choice, options, model_sha256=sha256, watch=watch)
