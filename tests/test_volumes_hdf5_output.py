"""Labels of a volume as HDF5: read again, with the voxel size, and a full disk does no harm."""

import errno
import shutil
from collections import namedtuple
from pathlib import Path

import h5py
import numpy as np
import pytest
from test_volumes_tiff_output import drawn, stored

from autosam.images import read_labels
from autosam.volumes.hdf5_output import write_hdf5


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8"])
def test_labels_are_read_again(tmp_path: Path, dtype: str) -> None:
    labels = drawn(dtype)
    labels[:8, :32, :32] = 0
    write_hdf5(tmp_path / "t.h5", stored(tmp_path, labels))
    np.testing.assert_array_equal(read_labels(tmp_path / "t.h5"), labels)
    with h5py.File(tmp_path / "t.h5") as file:
        assert file["labels"].chunks == (4, 16, 16)
        np.testing.assert_allclose(file["labels"].attrs["element_size_um"], [0.03, 0.008, 0.006])


def test_without_a_voxel_size_nothing_is_said(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "t.h5", stored(tmp_path, drawn("u2"), None))
    with h5py.File(tmp_path / "t.h5") as file:
        assert not dict(file["labels"].attrs)


def test_a_full_disk_is_told_before_hdf5_meets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = stored(tmp_path, drawn("u2"))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 10**6))
    with pytest.raises(OSError, match="No space left") as caught:
        write_hdf5(tmp_path / "t.h5", store)
    assert caught.value.errno == errno.ENOSPC
