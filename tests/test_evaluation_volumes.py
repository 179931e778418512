import tracemalloc

import h5py
import numpy as np
import pytest
import tifffile
import zarr

from autosam.errors import InputError
from autosam.evaluation.volumes import blocks, contingency_of_volumes, open_labels
from autosam.images import write_labels
from autosam.metrics import contingency_table


def random_volume(seed, shape=(13, 20, 24)):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 30, tuple(-(-n // 4) for n in shape))
    for axis in range(len(shape)):
        coarse = np.repeat(coarse, 4, axis=axis)
    return coarse[tuple(slice(0, n) for n in shape)].astype(np.uint32)


def save(path, labels, kind):
    if kind == "h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("labels", data=labels, chunks=(4, 8, 8), compression="lzf")
            file["raw"] = (labels + 0.5).astype(np.float32)
    elif kind == "zarr":
        zarr.create_array(path, data=labels, chunks=(5, 7, 9))
    elif kind == "zarr_group":
        zarr.open_group(path, mode="w").create_array("labels", data=labels, chunks=(5, 7, 9))
    elif kind == "tif":
        tifffile.imwrite(path, labels, compression="zlib", photometric="minisblack")
    elif kind == "tif_plain":
        tifffile.imwrite(path, labels, photometric="minisblack")
    else:
        write_labels(path, labels)
    return str(path)


KINDS = {
    "h5": "v.h5",
    "zarr": "v.zarr",
    "zarr_group": "g.zarr",
    "tif": "v.tif",
    "tif_plain": "p.tif",
    "own": "o.tif",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block_voxels", [100, 2000, 10**9])
def test_blocks_of_a_file_give_the_table_of_the_whole(tmp_path, kind, block_voxels):
    pred, truth = random_volume(0), random_volume(1)
    place = save(tmp_path / KINDS[kind], pred, kind)
    other = save(tmp_path / "truth.h5", truth, "h5")
    seen = []
    with open_labels(place) as p, open_labels(other) as t:
        assert p.shape == truth.shape
        table = contingency_of_volumes(
            p, t, block_voxels=block_voxels, progress=lambda done, total: seen.append((done, total))
        )
        np.testing.assert_array_equal(p.whole(), pred)
    whole = contingency_table(pred, truth)
    for name in vars(whole):
        np.testing.assert_array_equal(getattr(table, name), getattr(whole, name))
    assert seen[-1] == (pred.size, pred.size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(seen) > 1 or block_voxels > pred.size


@pytest.mark.parametrize("shape", [(7,), (5, 6), (5, 6, 7), (1, 1, 1), (0, 4)])
@pytest.mark.parametrize("chunks", [1, 2, 100])
@pytest.mark.parametrize("voxels", [1, 13, 1000])
def test_blocks_cover_every_voxel_once(shape, chunks, voxels):
    count = np.zeros(shape, int)
    for region in blocks(shape, tuple(min(chunks, max(n, 1)) for n in shape), voxels):
        count[region] += 1
    assert (count == 1).all()


def test_images_and_small_formats_are_read_whole(tmp_path):
    image = random_volume(2, (16, 20))
    write_labels(tmp_path / "a.png", image)
    with open_labels(tmp_path / "a.png") as labels:
        np.testing.assert_array_equal(labels.read((slice(2, 5), slice(0, 20))), image[2:5])
    save(tmp_path / "one.tif", image, "tif")
    with open_labels(tmp_path / "one.tif") as labels:
        assert labels.shape == (16, 20)


def test_memory_does_not_grow_with_the_volume(tmp_path):
    peaks = []
    for depth in (16, 128):
        path = tmp_path / f"{depth}.h5"
        with h5py.File(path, "w") as file:
            data = file.create_dataset("labels", (depth, 128, 128), np.uint64, chunks=(8, 128, 128))
            for start in range(0, depth, 8):
                data[start : start + 8] = start + 1
        tracemalloc.start()
        with open_labels(path) as pred, open_labels(path) as truth:
            table = contingency_of_volumes(pred, truth, block_voxels=8 * 128 * 128)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert table.n_voxels == depth * 128 * 128
    assert peaks[1] < 1.2 * peaks[0] < 2 * 128 * 128 * 128 * 8


def test_faults_are_named(tmp_path):
    volume = random_volume(0)
    place = save(tmp_path / "v.h5", volume, "h5")
    with (
        open_labels(place) as pred,
        open_labels(save(tmp_path / "s.tif", volume[:-1], "tif")) as truth,
        pytest.raises(InputError, match=r"shape \(13, 20, 24\) and the truth \(12, 20, 24\)"),
    ):
        contingency_of_volumes(pred, truth)
    with pytest.raises(InputError, match="float32"), open_labels(f"{place}:/raw"):
        pass
    tifffile.imwrite(tmp_path / "f.tif", (volume + 0.5).astype(np.float32), photometric="minisblack")
    with pytest.raises(InputError, match="float32"), open_labels(tmp_path / "f.tif"):
        pass
    with pytest.raises(InputError, match="no such label file"), open_labels(tmp_path / "none.h5"):
        pass
    with pytest.raises(InputError, match="no image dataset"), open_labels(f"{place}:/other"):
        pass
    tifffile.imwrite(tmp_path / "n.tif", volume.astype(np.int32) - 5, photometric="minisblack")
    with (
        open_labels(tmp_path / "n.tif") as pred,
        open_labels(place) as truth,
        pytest.raises(InputError, match="negative id"),
    ):
        contingency_of_volumes(pred, truth)
    zarr.open_group(tmp_path / "empty.zarr", mode="w")
    with pytest.raises(InputError, match="no array 'labels'"), open_labels(tmp_path / "empty.zarr"):
        pass
    tifffile.imwrite(tmp_path / "last.tif", volume, compression="zlib", photometric="minisblack")
    whole = (tmp_path / "last.tif").read_bytes()
    (tmp_path / "last.tif").write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(InputError, match=r"last\.tif"), open_labels(tmp_path / "last.tif") as labels:
        labels.whole()
    (tmp_path / "cut.tif").write_bytes(b"II*\x00")
    with pytest.raises(InputError, match=r"cut\.tif"), open_labels(tmp_path / "cut.tif"):
        pass
