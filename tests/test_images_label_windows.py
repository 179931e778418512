"""Windows of label images, as they are written, also large ones in tiles."""

import numpy as np
import pytest
import tifffile

from autosam.errors import InputError
from autosam.images import write_labels
from autosam.images.label_windows import open_label_windows

LABELS = (np.arange(70 * 90).reshape(70, 90) // 50).astype(np.uint16)
WINDOW = (slice(11, 50), slice(33, 71))


@pytest.mark.parametrize("suffix", ["tif", "png", "h5", "zarr"])
def test_a_window_of_each_format(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    write_labels(path, LABELS, pixel_size_nm=250.0)
    with open_label_windows(path) as labels:
        assert labels.shape == LABELS.shape
        assert np.array_equal(labels.read(WINDOW), LABELS[WINDOW])


def test_a_tiled_tiff(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", LABELS, tile=(32, 32), compression="zlib", photometric="minisblack")
    with open_label_windows(tmp_path / "a.tif") as labels:
        assert labels.chunks == (32, 32)
        assert np.array_equal(labels.read(WINDOW), LABELS[WINDOW])


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"no labels")
    with pytest.raises(InputError, match=r"a\.tif"), open_label_windows(tmp_path / "a.tif"):
        pass
