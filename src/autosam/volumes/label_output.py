"""Where the labels of a volume go: a store that tasks write into, and one last step that makes it the output."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autosam.errors import InputError, OutputError
from autosam.images.write import ensure_folder
from autosam.volumes.ome_zarr_output import LabelStore, OmeVersion, writing
from autosam.volumes.store_levels import Size, plan_levels

_SUFFIXES = (".zarr",)

_BYTES_PER_VOXEL = 0.02
"""Of compressed labels: .005 to .014 for the mitochondria and chloroplasts of three data sets (uint32), and .12
where small nuclei fill the volume."""


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
        """Tell whether an earlier run renamed it, and only its folder of work is left."""
        return (self.work / "ready").exists() and not self.store.folder.exists() and self.path.exists()

    def finish(self) -> None:
        """Give the whole output its name, and remove the folder of work.

        It can be interrupted anywhere and called again. An earlier output of that name goes at the same moment.

        Raises
        ------
        OutputError
            If the system refuses.
        """
        if not self.is_finished:
            missing = [
                (level, region)
                for level in range(len(self.store.levels))
                for region in self.store.regions(level)
                if not self.store.is_written(region, level)
            ]
            assert not missing, f"{len(missing)} regions are missing, the first is {missing[0]}"
            with writing(self.path):
                self.store.tidy()
                (self.work / "ready").touch()
                if self.path.exists():
                    # Moved, not removed: the name is free for no longer than a moment.
                    replaced = self.work / "replaced"
                    _remove(replaced)
                    self.path.rename(replaced)
                self.store.folder.rename(self.path)
        shutil.rmtree(self.work, ignore_errors=True)


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
    overwrite: bool = False,
    work: Path | None = None,
) -> LabelOutput:
    """Open an output for writing, or again where an earlier run left off.

    Parameters
    ----------
    path : Path
        The output. The suffix chooses the format: .zarr.
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
    store = LabelStore(work / "labels.zarr", work / "written", dtype.str, levels, voxel_size, ome_version)
    output = LabelOutput(path, work, store)
    stamp = repr((identity, store.dtype, levels, voxel_size, ome_version, path.suffix.lower()))
    known = work / "identity"
    if known.is_file() and known.read_text(encoding="utf-8") == stamp:
        if not output.is_finished:
            _refuse_existing(path, overwrite=overwrite)
        return output
    _refuse_existing(path, overwrite=overwrite)
    ensure_folder(work.parent)
    _remove(work)
    _refuse_full_disk(path, work.parent, shape)
    # Whole from the first moment that it has its name.
    fresh = work.with_name(f"{work.name}.new")
    _remove(fresh)
    with writing(path):
        fresh.mkdir()
        LabelStore(fresh / "labels.zarr", fresh / "written", store.dtype, levels, voxel_size, ome_version).create(
            {}
        )
        (fresh / "identity").write_text(stamp, encoding="utf-8")
        fresh.rename(work)
    return output


def check_suffix(path: Path) -> None:
    """Refuse an output of a format that holds no volume of labels; an `InputError` names those that do."""
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{path}: volumes are written to {' '.join(_SUFFIXES)}, not to {path.suffix!r}.")


def expected_bytes(shape: Size) -> int:
    """Estimate what the labels of a volume take on disk, compressed and with their pyramid."""
    return round(shape[0] * shape[1] * shape[2] * _BYTES_PER_VOXEL)


def _refuse_existing(path: Path, *, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise OutputError(
            f"{path} exists, and is not what this command would continue; choose another name with --output, or "
            "replace it with --overwrite."
        )


def _refuse_full_disk(path: Path, folder: Path, shape: Size) -> None:
    wanted, free = expected_bytes(shape), shutil.disk_usage(folder).free
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
