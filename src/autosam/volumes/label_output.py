"""Where the labels of a volume go: a store that tasks write into, and one last step that makes it the output."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from autosam.errors import InputError, OutputError
from autosam.images.formats import HDF5_SUFFIXES, TIFF_SUFFIXES
from autosam.images.write import ensure_folder
from autosam.volumes.hdf5_output import write_hdf5
from autosam.volumes.ome_zarr_output import LabelStore, OmeVersion, sync, writing
from autosam.volumes.store_levels import Size, plan_levels
from autosam.volumes.tiff_output import write_tiff

_SUFFIXES = (".zarr", *TIFF_SUFFIXES, *HDF5_SUFFIXES)

_BYTES_PER_VOXEL = 0.02
"""Of compressed labels: .005 to .014 for the mitochondria and chloroplasts of three data sets (uint32), and .12
where small nuclei fill the volume."""

_READY = "ready"
"""A file in the folder of work, once what gets the name of the output is whole."""


@dataclass(frozen=True)
class LabelOutput:
    """An output that is being written.

    Until it is whole, it lies in a folder of its own, so that nothing looks finished. The last step gives it
    its name. Tasks need the `store` alone.

    Attributes
    ----------
    path : Path
        What the user asked for.
    work : Path
        Folder of what is not finished.
    store : LabelStore
        The labels, readable while they are written.
    """

    path: Path
    work: Path
    store: LabelStore

    @property
    def is_finished(self) -> bool:
        """Tell whether the output is whole and has its name."""
        return (self.work / _READY).exists() and not self._result.exists() and self.path.exists()

    @property
    def _result(self) -> Path:
        """What gets the name of the output when it is whole."""
        return self.work / f"labels{self.path.suffix.lower()}"

    def finish(self) -> "LabelOutput":
        """Make the whole output of the store, and give it its name.

        It can be interrupted anywhere and called again. An earlier output of that name goes at the same moment.

        Returns
        -------
        LabelOutput
            The same output, whose store can still be read until it is closed.

        Raises
        ------
        OutputError
            If the system refuses.
        """
        if self.is_finished:
            return self
        missing = [
            (level, region)
            for level in range(len(self.store.levels))
            for region in self.store.regions(level)
            if not self.store.is_written(region, level)
        ]
        assert not missing, f"{len(missing)} regions are missing, the first is {missing[0]}"
        with writing(self.path):
            if not (self.work / _READY).exists() or not self._result.exists():
                self._make()
                (self.work / _READY).touch()
            if self.path.exists():
                # Moved, not removed: the name is free for no longer than a moment.
                replaced = self.work / "replaced"
                _remove(replaced)
                self.path.rename(replaced)
            self._result.rename(self.path)
        return self._moved()

    def close(self) -> None:
        """Remove the folder of work, when nothing is to be done with a finished output any more."""
        shutil.rmtree(self.work, ignore_errors=True)

    def _make(self) -> None:
        self.store.tidy()
        if self._result == self.store.folder:
            return
        unfinished = self.work / f"unfinished{self.path.suffix.lower()}"
        (write_hdf5 if self.path.suffix.lower() in HDF5_SUFFIXES else write_tiff)(unfinished, self.store)
        sync(unfinished)
        unfinished.replace(self._result)

    def _moved(self) -> "LabelOutput":
        """Give a finished output, whose store has the name of the output if it is one."""
        if self._result != self.store.folder:
            return self
        return replace(self, store=replace(self.store, folder=self.path))


def open_output(
    path: Path,
    *,
    shape: Size,
    dtype: np.dtype[Any],
    voxel_size: tuple[float, float, float] | None,
    identity: str,
    ome_version: OmeVersion = "0.5",
    chunk: Size | None = None,
    region: Size | None = None,
    pyramid: bool = True,
    origin: Size = (0, 0, 0),
    overwrite: bool = False,
    work: Path | None = None,
) -> LabelOutput:
    """Open an output for writing, or again where an earlier run left off.

    Parameters
    ----------
    path : Path
        The output. The suffix chooses the format: .zarr (OME-Zarr), .tif, .tiff (`write_tiff`), .h5, .hdf5, .hdf
        (`write_hdf5`). TIFF and HDF5 are made of a store in the folder of work in the last step.
    shape : tuple of int
        (Z, Y, X).
    dtype : dtype
        The smallest unsigned type that holds the ids, see `smallest_unsigned`.
    voxel_size : tuple of float or None
        Spacing of slices, rows and columns in nm.
    identity : str
        A hash of all that the labels depend on. What an earlier run has written is kept if it had the same one,
        and removed otherwise.
    ome_version : {"0.5", "0.4"}
        0.5 is Zarr 3 with shards; 0.4 is Zarr 2, which has none.
    chunk, region : tuple of int, optional
        See `plan_levels`.
    pyramid : bool
        False writes the finest level alone.
    origin : tuple of int
        Where the labels begin in the whole volume, for OME-Zarr.
    overwrite : bool
        The output may take the place of an existing one.
    work : Path, optional
        Folder of what is not finished, on the same disk; by default a hidden one beside the output.

    Raises
    ------
    InputError
        If the suffix is unknown.
    OutputError
        If something of that name exists, there is not enough space, or the folder cannot be written to.
    """
    check_suffix(path)
    work = work or path.with_name(f".{path.name}.partial")
    levels = plan_levels(shape, voxel_size, chunk=chunk, region=region, pyramid=pyramid)
    store = LabelStore(work / "labels.zarr", work / "written", dtype.str, levels, voxel_size, ome_version, origin)
    output = LabelOutput(path, work, store)
    stamp = repr((identity, store.dtype, levels, voxel_size, ome_version, origin, path.suffix.lower()))
    known = work / "identity"
    if known.is_file() and known.read_text(encoding="utf-8") == stamp:
        if output.is_finished:
            return output._moved()
        if store.folder.exists():
            refuse_existing(path, overwrite=overwrite)
            return output
    refuse_existing(path, overwrite=overwrite)
    ensure_folder(work.parent)
    _remove(work)
    refuse_full_disk(path, work.parent, shape)
    # Whole from the first moment that it has its name.
    fresh = work.with_name(f"{work.name}.new")
    _remove(fresh)
    with writing(path):
        fresh.mkdir()
        replace(store, folder=fresh / "labels.zarr", marks=fresh / "written").create({})
        (fresh / "identity").write_text(stamp, encoding="utf-8")
        fresh.rename(work)
    return output


def check_suffix(path: Path) -> None:
    """Refuse an output of a format that holds no volume of labels; an `InputError` names those that do."""
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{path}: volumes are written to {' '.join(_SUFFIXES)}, not to {path.suffix!r}.")


def expected_bytes(shape: Size, suffix: str = ".zarr") -> int:
    """Estimate what the labels of a volume take on disk, compressed, with pyramid and all that is temporary."""
    copies = 1 if suffix.lower() == ".zarr" else 2
    return round(shape[0] * shape[1] * shape[2] * _BYTES_PER_VOXEL * copies)


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Refuse an output that is there and may not be replaced, by an `OutputError`."""
    if path.exists() and not overwrite:
        raise OutputError(
            f"{path} exists, and is not what this command would continue; choose another name with --output, or "
            "replace it with --overwrite."
        )


def refuse_full_disk(path: Path, folder: Path, shape: Size) -> None:
    """Refuse an output that the disk of a folder has no space for, by an `OutputError` with both sizes."""
    wanted, free = expected_bytes(shape, path.suffix), shutil.disk_usage(folder).free
    if free < wanted:
        raise OutputError(
            f"{path} needs about {wanted / 1e9:.3g} GB, and {free / 1e9:.3g} GB are free; free space or choose "
            "another place with --output."
        )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
