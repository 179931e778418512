"""Labels of slices, as `autosam link` reads them."""

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from autosam.errors import InputError
from autosam.volumes.open_volume import open_label_volume
from autosam.volumes.storage import close_volumes

LABELS = np.random.default_rng(1).integers(0, 5, (4, 20, 30)).astype(np.uint16)
LABELS[2, 5, 5] = 300
WHOLE = (slice(None), slice(None))


@pytest.fixture(autouse=True)
def _closed():
    yield
    close_volumes()


def as_ome_label_image(path):
    group = zarr.open_group(path, mode="w", zarr_format=3)
    inner = group.create_group("labels/mito")
    inner.create_array("0", data=LABELS)
    axes = [{"name": a, "type": "space", "unit": "nanometer"} for a in "zyx"]
    scale = [{"type": "scale", "scale": [40, 4, 4]}]
    multiscales = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]
    inner.attrs["ome"] = {"version": "0.5", "multiscales": multiscales, "image-label": {"version": "0.5"}}
    return path


def as_results(path):
    """As `autosam segment` leaves them: the smallest type for each slice, and pictures beside."""
    path.mkdir()
    for z, labels in enumerate(LABELS):
        small = labels.astype(np.uint8) if labels.max() < 256 else labels
        tifffile.imwrite(path / f"raw_p{z}_labels.tif", small, compression="zlib")
        Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(path / f"raw_p{z}_overlay.png")
    return path


def as_hdf5(path):
    with h5py.File(path, "w") as file:
        file["raw"] = LABELS
        file["labels"] = LABELS
    return path


def as_pngs(path):
    path.mkdir()
    for z, labels in enumerate(LABELS % 256):
        picture = Image.fromarray(labels.astype(np.uint8), "L")
        picture.putpalette(list(range(255, -1, -1)) * 3)
        picture.save(path / f"{z}.png")
    return path


def as_tiff(path, array=LABELS, **kwargs):
    tifffile.imwrite(path, array, **{"photometric": "minisblack", **kwargs})
    return path


@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (lambda at: LABELS, np.uint16),
        (lambda at: LABELS.astype(np.uint64) << 40, np.uint64),
        (lambda at: as_tiff(at / "a.tif"), np.uint16),
        (
            lambda at: as_tiff(at / "a.tif", LABELS.astype(np.float32), imagej=True, metadata={"axes": "ZYX"}),
            np.uint64,
        ),
        (lambda at: as_hdf5(at / "a.h5"), np.uint16),
        (lambda at: as_ome_label_image(at / "a.zarr"), np.uint16),
        (lambda at: as_results(at / "results"), np.uint64),
    ],
)
def test_ids_are_those_that_are_stored(make, dtype, tmp_path):
    given = make(tmp_path)
    source = open_label_volume(given)
    assert source.labels
    assert (source.shape, source.dtype) == (LABELS.shape, dtype)
    expected = given if isinstance(given, np.ndarray) else LABELS
    for z in range(4):
        np.testing.assert_array_equal(source.read(z, WHOLE), expected[z])
    np.testing.assert_array_equal(source.read(2, (slice(3, 9), slice(4, 8))), expected[2, 3:9, 4:8])


def test_palettes_give_their_indices(tmp_path):
    source = open_label_volume(as_pngs(tmp_path / "slices"))
    np.testing.assert_array_equal(source.read(2, WHOLE), LABELS[2] % 256)


def test_label_images_know_their_voxel_size(tmp_path):
    assert open_label_volume(as_ome_label_image(tmp_path / "a.zarr")).voxel_size == (40, 4, 4)


def test_colors_and_negative_numbers_are_refused(tmp_path):
    colors = as_tiff(tmp_path / "a.tif", np.zeros((4, 20, 30, 3), np.uint8), photometric="rgb")
    with pytest.raises(InputError, match="holds colors"):
        open_label_volume(colors)
    negative = open_label_volume(as_tiff(tmp_path / "b.tif", -LABELS.astype(np.int32)))
    with pytest.raises(InputError, match=r"slice 1, holds negative ids"):
        negative.read(1, WHOLE)
    broken = open_label_volume(as_tiff(tmp_path / "c.tif", LABELS + np.float32(0.5)))
    with pytest.raises(InputError, match="not all of them whole numbers"):
        broken.read(0, WHOLE)
