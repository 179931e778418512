"""Electron microscopy releases: small files in each official layout, from real pixels."""

from pathlib import Path

import h5py
import imagecodecs
import mrcfile
import numpy as np
import pytest
import tifffile

from autosam.data.importing import Terms, import_release
from autosam.data.sources import open_release
from autosam.data.store import Store
from autosam.errors import InputError
from autosam.images import read_image
from autosam.metrics import components

H, W = 48, 64


@pytest.fixture(scope="module")
def raw() -> np.ndarray:
    """Eight crops of a real slice, shape (8, H, W)."""
    page = read_image(Path(__file__).parents[1] / "examples" / "vnc_12.png")
    return np.stack([page[200 + 20 * z : 200 + 20 * z + H, 300 : 300 + W] for z in range(8)])


@pytest.fixture(scope="module")
def mask(raw: np.ndarray) -> np.ndarray:
    return ((raw < np.percentile(raw, 30)) * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def ids(mask: np.ndarray) -> np.ndarray:
    """3D instances, one of them with an id above 16 bits."""
    found = components(mask, min_size=3).astype(np.uint32)
    found[found == found.max()] = 100_000
    return found


def png(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(array)))


def tif(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, photometric="minisblack")


def imported(path: Path, source: str, tmp_path: Path, **settings) -> Store:
    """Import what is guessed to be this source."""
    release = open_release(str(path), target=settings.pop("target", None))
    assert release.source == source
    store, _ = import_release(release, tmp_path / f"{source}.h5", **settings)
    return store


def check_volume(store: Store, name: str, image: np.ndarray, labels: np.ndarray | None) -> None:
    volume = store.volume(name)
    np.testing.assert_array_equal(volume.image(), image)
    if labels is not None:
        np.testing.assert_array_equal(volume.labels(), labels)


def each_slice(mask: np.ndarray, min_size: int = 50) -> np.ndarray:
    return np.stack([components(plane, min_size=min_size) for plane in mask])


def test_epfl_stacks(tmp_path: Path, raw: np.ndarray, mask: np.ndarray) -> None:
    for part, planes in (("training", slice(0, 5)), ("testing", slice(5, 8))):
        tif(tmp_path / "in" / f"{part}.tif", raw[planes])
        tif(tmp_path / "in" / f"{part}_groundtruth.tif", mask[planes])
    store = imported(tmp_path / "in", "epfl", tmp_path)
    assert store.volumes == ("training", "testing")
    check_volume(store, "training", raw[:5], each_slice(mask[:5]))
    check_volume(store, "testing", raw[5:], each_slice(mask[5:]))
    assert [item.split for item in store.items] == ["train"] * 5 + ["test"] * 3
    manifest = store.manifest
    assert (manifest.voxel_size_nm, manifest.ids, manifest.min_size) == ((5, 5, 5), "2d", 50)
    assert "at least 50 pixels, 8 neighbors" in manifest.instances
    assert "Lucchi" in manifest.citation


def test_epfl_official_folders_of_slices(tmp_path: Path, raw: np.ndarray, mask: np.ndarray) -> None:
    for part, first in (("training", 0), ("testing", 5)):
        for z in range(3):
            tif(tmp_path / "in" / part / f"{part}{z + 1:04d}.tif", raw[first + z])
            tif(tmp_path / "in" / f"{part}_groundtruth" / f"{part}_groundtruth{z + 1:04d}.tif", mask[first + z])
    store = imported(tmp_path / "in", "epfl", tmp_path)
    assert store.volumes == ("training", "testing")
    assert store.volume("training").z == (1, 2, 3)
    check_volume(store, "training", raw[:3], each_slice(mask[:3]))
    check_volume(store, "testing", raw[5:8], each_slice(mask[5:8]))
    assert [item.split for item in store.items] == ["train"] * 3 + ["test"] * 3
    # One part as a stack, the other as slices.
    tif(tmp_path / "mixed/training.tif", raw[:3])
    for z in range(3):
        tif(tmp_path / f"mixed/training_groundtruth/{z}.tif", mask[z])
    with pytest.raises(InputError, match="are not both files or both folders"):
        open_release(str(tmp_path / "mixed"))
    # A mask that is missing is named.
    (tmp_path / "in/testing_groundtruth/testing_groundtruth0002.tif").unlink()
    with pytest.raises(InputError, match=r"1 fault in testing: .*testing0002.tif has no labels"):
        open_release(str(tmp_path / "in"))


@pytest.mark.parametrize("form", ["s.h5", "s.zarr"])
def test_a_volume_with_3d_ids_in_each_form(tmp_path: Path, raw: np.ndarray, ids: np.ndarray, form: str) -> None:
    for name, volume in (("image", raw), ("labels", ids)):
        tif(tmp_path / f"{name}.tif", volume)
    release = open_release(str(tmp_path / "image.tif"), str(tmp_path / "labels.tif"))
    store, notes = import_release(release, tmp_path / form)
    assert notes == []
    store = Store.open(tmp_path / form)
    check_volume(store, "image", raw, ids)
    assert store.manifest.ids == "3d"
    labels = store.volume("image").labels()
    assert labels.dtype == np.uint32
    assert labels.max() == 100_000
    assert np.unique(labels).tolist() == np.unique(ids).tolist()
    # An object that spans slices has one id in all of them.
    spanning = next(i for i in np.unique(ids)[1:] if len(np.unique(np.nonzero(ids == i)[0])) > 1)
    for z in np.unique(np.nonzero(ids == spanning)[0]):
        np.testing.assert_array_equal(store.labels(f"image_z{z:04d}") == spanning, ids[z] == spanning)


@pytest.mark.parametrize("form", ["s.h5", "s.zarr"])
@pytest.mark.parametrize("instances", ["components-2d", "components-3d"])
def test_an_import_that_breaks_in_the_middle(
    tmp_path: Path, raw: np.ndarray, mask: np.ndarray, form: str, instances: str
) -> None:
    """Broken while reading and again while packing, it ends with the bytes of one that was not."""
    tif(tmp_path / "in/training.tif", raw)
    tif(tmp_path / "in/training_groundtruth.tif", mask)
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()

    class BrokenError(Exception):
        pass

    ticks: list[str] = []

    def run(folder: str, stop: str = "", at: int = 0) -> None:
        ticks.clear()

        def tick(step: str) -> None:
            ticks.append(step)
            if step == stop and ticks.count(stop) == at:
                raise BrokenError

        release = open_release(str(tmp_path / "in"))
        import_release(release, tmp_path / folder / form, instances=instances, min_size=20, tick=tick)

    run("whole")
    assert ticks == ["read"] * 8 + ["pack"] * 8
    for stop in ("read", "pack"):
        with pytest.raises(BrokenError):
            run("broken", stop, 4)
        assert [path.name for path in (tmp_path / "broken").iterdir()] == [f".{form}.importing"]
    run("broken")

    def contents(folder: str) -> dict[str, bytes]:
        root = tmp_path / folder
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    assert contents("broken") == contents("whole")
    assert Store.open(tmp_path / "broken" / form).volume("training").shape == raw.shape


def test_epfl_in_3d(tmp_path: Path, raw: np.ndarray, mask: np.ndarray) -> None:
    tif(tmp_path / "in/training.tif", raw)
    tif(tmp_path / "in/training_groundtruth.tif", mask)
    store = imported(tmp_path / "in", "epfl", tmp_path, instances="components-3d", min_size=20)
    check_volume(store, "training", raw, components(mask, min_size=20))
    assert store.manifest.ids == "3d"
    assert "at least 20 voxels, 26 neighbors" in store.manifest.instances


def test_epfl_folder_of_slices_with_gaps(tmp_path: Path, raw: np.ndarray, mask: np.ndarray) -> None:
    numbers = (7, 8, 30)
    for number, image, truth in zip(numbers, raw, mask, strict=False):
        png(tmp_path / "epfl/raw" / f"{number:04d}.png", image)
        png(tmp_path / "epfl/mitochondria" / f"{number:04d}.png", truth)
    store = imported(tmp_path / "epfl", "epfl", tmp_path)
    assert store.volume("training").z == numbers
    assert [item.name for item in store.items] == ["training_z0007", "training_z0008", "training_z0030"]
    check_volume(store, "training", raw[:3], each_slice(mask[:3]))
    (tmp_path / "epfl/raw/0030.png").unlink()
    with pytest.raises(InputError, match=r"1 fault in training: .*0030.png has no image"):
        open_release(str(tmp_path / "epfl"))


@pytest.mark.parametrize(
    ("source", "folder", "voxel"),
    [("lucchi_pp", "Lucchi++", (5, 5, 5)), ("kasthuri_pp", "Kasthuri++", (30, 3, 3))],
)
def test_casser(
    tmp_path: Path, raw: np.ndarray, mask: np.ndarray, source: str, folder: str, voxel: tuple[int, ...]
) -> None:
    root = tmp_path / "in" / folder
    for z in range(3):
        png(root / "Train_In" / f"mask{z:04d}.png", raw[z])
        # The release's masks are RGBA: white is foreground, other colors are not.
        color = np.full((H, W, 4), (0, 0, 0, 255), np.uint8)
        color[mask[z] > 0] = 255
        color[0, 0] = (255, 0, 0, 255)
        png(root / "Train_Out" / f"{z}.png", color)
        png(root / "Test_In" / f"mask{z:04d}.png", raw[z + 3])
        png(root / "Test_Out" / f"{z + 1}.png", mask[z + 3])
    truth = mask[:3].copy()
    truth[:, 0, 0] = 0
    for path in (tmp_path / "in", root):
        store = imported(path, source, tmp_path, restart=True)
        check_volume(store, "train", raw[:3], each_slice(truth))
        # Numbered from 1 where the images count from 0: paired by order.
        check_volume(store, "test", raw[3:6], each_slice(mask[3:6]))
        assert [item.split for item in store.items] == ["train"] * 3 + ["test"] * 3
        assert store.manifest.voxel_size_nm == voxel


def test_mitoem(tmp_path: Path, raw: np.ndarray, ids: np.ndarray) -> None:
    root = tmp_path / "in"
    starts = {"train": 0, "val": 400}
    for animal in "RH":
        # Unpacked, the archive's folder `im` may lie inside.
        images = root / f"EM30-{animal}-im" / ("im" if animal == "R" else "")
        for z in range(3):
            for part, start in starts.items():
                png(images / f"im{start + z:04d}.png", raw[z])
                labels = root / f"EM30-{animal}-mito-train-val-v2/mito-{part}-v2/seg{start + z:04d}.tif"
                tif(labels, ids[z])
        png(images / "im0500.png", raw[5])
    store = imported(root, "mitoem", tmp_path)
    assert store.volumes == ("R_train", "R_val", "H_train", "H_val")
    assert store.volume("H_val").z == (400, 401, 402)
    for name in store.volumes:
        check_volume(store, name, raw[:3], ids[:3])
    assert store.item("R_val_z0401").split == "val"
    assert store.item("R_val_z0401").group == "R"
    assert (store.manifest.ids, store.manifest.min_size) == ("3d", None)
    assert store.manifest.voxel_size_nm == (30, 8, 8)
    with_test = imported(root, "mitoem", tmp_path, unlabeled=True, restart=True)
    item = with_test.item("R_test_z0500")
    assert (item.labels_dtype, item.split) == (None, "test")
    with pytest.raises(InputError, match="smallest size needs connected components"):
        imported(root, "mitoem", tmp_path, min_size=5, restart=True)


def test_mitoem_flat_and_hdf5(tmp_path: Path, raw: np.ndarray, ids: np.ndarray) -> None:
    root = tmp_path / "MitoEM-H"
    png(root / "im/im0000.png", raw[0])
    tif(root / "mito-train-v2/seg0000.tif", ids[0])
    check_volume(imported(root, "mitoem", tmp_path), "H_train", raw[:1], ids[:1])
    tif(root / "mito-train-v2/seg0001.tif", ids[1])
    with pytest.raises(InputError, match=r"seg0001.tif has no image im0001"):
        open_release(str(root))
    (tmp_path / "h5").mkdir()
    for kind, volume in (("im", raw), ("seg", ids)):
        with h5py.File(tmp_path / f"h5/mitoem_R_train_4um_{kind}.h5", "w") as file:
            file["main"] = volume
    store = imported(tmp_path / "h5", "mitoem", tmp_path, restart=True)
    check_volume(store, "R_train_4um", raw, ids)
    assert store.items[0].split == "train"


@pytest.mark.parametrize("form", ["tif", "nested", "h5"])
def test_snemi3d(tmp_path: Path, raw: np.ndarray, ids: np.ndarray, form: str) -> None:
    root = tmp_path / "in"
    neurites = ids.astype(np.uint32)
    if form == "h5":
        root.mkdir()
        for name, volume in (("AC4_inputs", raw), ("AC4_labels", neurites), ("AC3_inputs", raw[:4])):
            with h5py.File(root / f"{name}.h5", "w") as file:
                file["main"] = volume
    else:
        image, seg = ("image/", "seg/") if form == "nested" else ("", "")
        tif(root / f"{image}train-input.tif", raw)
        tif(root / f"{seg}train-labels.tif", neurites)
        tif(root / f"{image}test-input.tif", raw[:4])
    store = imported(root, "snemi3d", tmp_path, unlabeled=True)
    check_volume(store, "AC4", raw, neurites)
    check_volume(store, "AC3", raw[:4], None)
    assert {item.split for item in store.items} == {"train", "test"}
    assert store.items[-1].labels_dtype is None
    assert store.manifest.voxel_size_nm == (30, 6, 6)
    assert store.labels("AC4_z0007").dtype == np.uint32


def cremi(path: Path, raw: np.ndarray, ids: np.ndarray | None, offset: tuple[float, ...] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["volumes/raw"] = raw
        file["volumes/raw"].attrs["resolution"] = (40.0, 4.0, 4.0)
        if ids is not None:
            file["volumes/labels/neuron_ids"] = ids
            file["volumes/labels/neuron_ids"].attrs["resolution"] = (40.0, 4.0, 4.0)
            if offset is not None:
                file["volumes/labels/neuron_ids"].attrs["offset"] = offset


def test_cremi(tmp_path: Path, raw: np.ndarray, ids: np.ndarray) -> None:
    neurons = ids.astype(np.uint64) + 2**33
    neurons[ids == 0] = 2**64 - 1
    truth = np.where(ids == 0, np.uint64(0), neurons)
    cremi(tmp_path / "in/sample_A_20160501.hdf", raw, neurons)
    # Padded: the labels begin at slice 2, row 3, column 5.
    cremi(tmp_path / "in/sample_B_padded.hdf", raw, neurons[2:7, 3:30, 5:40], (80.0, 12.0, 20.0))
    cremi(tmp_path / "in/sample_A+.hdf", raw, None)
    store = imported(tmp_path / "in", "cremi", tmp_path)
    assert store.volumes == ("sample_A_20160501", "sample_B_padded")
    check_volume(store, "sample_A_20160501", raw, truth)
    check_volume(store, "sample_B_padded", raw[2:7, 3:30, 5:40], truth[2:7, 3:30, 5:40])
    assert store.manifest.voxel_size_nm == (40, 4, 4)
    assert any("18446744073709551615" in note for note in store.manifest.notes)
    assert imported(tmp_path / "in/sample_A_20160501.hdf", "cremi", tmp_path, restart=True).volumes == (
        "sample_A_20160501",
    )
    cremi(tmp_path / "in/sample_C.hdf", raw, neurons, (80.0, 0.0, 0.0))
    with pytest.raises(InputError, match="leave the raw volume"):
        open_release(str(tmp_path / "in"))


@pytest.mark.parametrize("official", [True, False])
def test_vnc(tmp_path: Path, raw: np.ndarray, mask: np.ndarray, official: bool) -> None:
    tissue = np.select([raw < 90, raw < 110, mask > 0], [64, 159, 191], 255).astype(np.uint8)
    root = tmp_path / "in" / ("stack1" if official else "")
    for z in range(3):
        if official:
            tif(root / f"raw/{z:02d}.tif", raw[z])
            png(root / f"labels/labels{z:08d}.png", tissue[z])
            tif(tmp_path / f"in/stack2/raw/{z:02d}.tif", raw[z + 3])
        else:
            png(root / f"raw/{z:02d}.png", raw[z])
            png(root / f"tissue/{z:02d}.png", tissue[z])
        png(root / f"mitochondria/{z:02d}.png", mask[z])
    store = imported(tmp_path / "in", "vnc", tmp_path)
    check_volume(store, "stack1", raw[:3], each_slice(mask[:3]))
    assert store.manifest.license == "CC BY-NC-SA 3.0"
    neurites = imported(tmp_path / "in", "vnc", tmp_path, target="neurites", min_size=9, restart=True)
    check_volume(neurites, "stack1", raw[:3], each_slice(tissue[:3] >= 191, 9))
    with pytest.raises(InputError, match="vnc has no target synapses; it has: mitochondria, neurites"):
        open_release(str(tmp_path / "in"), target="synapses")
    if official:
        both = imported(tmp_path / "in", "vnc", tmp_path, unlabeled=True, restart=True)
        check_volume(both, "stack2", raw[3:6], None)


def test_a_mask_is_not_taken_for_ids(tmp_path: Path, raw: np.ndarray, mask: np.ndarray) -> None:
    tif(tmp_path / "in/training.tif", raw)
    tif(tmp_path / "in/training_groundtruth.tif", mask)
    with pytest.raises(InputError, match="semantic masks, not ids"):
        imported(tmp_path / "in", "epfl", tmp_path, instances="published")


def test_unequal_stacks(tmp_path: Path, raw: np.ndarray, mask: np.ndarray) -> None:
    tif(tmp_path / "in/training.tif", raw)
    tif(tmp_path / "in/training_groundtruth.tif", mask[:5])
    with pytest.raises(InputError, match=r"has 8 slices and .*training_groundtruth.tif 5"):
        open_release(str(tmp_path / "in"))
    (tmp_path / "in/training_groundtruth.tif").unlink()
    with pytest.raises(InputError, match="no training_groundtruth beside it"):
        open_release(str(tmp_path / "in"), source="epfl")


def test_terms_are_the_users_word(tmp_path: Path, raw: np.ndarray, mask: np.ndarray) -> None:
    tif(tmp_path / "in/training.tif", raw)
    tif(tmp_path / "in/training_groundtruth.tif", mask)
    store = imported(tmp_path / "in", "epfl", tmp_path, terms=Terms("mine", None, (6, 5, 5)))
    assert store.manifest.license == "mine"
    assert store.manifest.voxel_size_nm == (6, 5, 5)
    assert "Lucchi" in store.manifest.citation


def test_a_tomogram_and_its_labels_are_a_volume(tmp_path: Path) -> None:
    raw = np.arange(4 * 20 * 24, dtype=np.int16).reshape(4, 20, 24)
    ids = np.zeros((4, 20, 24), dtype=np.uint16)
    ids[:, 3:9, 3:9], ids[1:, 12:18, 12:20] = 1, 2
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for path, array in ((tmp_path / "images/a.rec", raw), (tmp_path / "truth.mrc", ids)):
        with mrcfile.new(path) as file:
            file.set_data(array)
    tifffile.imwrite(tmp_path / "labels/a.tif", ids, photometric="minisblack")
    for place, labels in ((tmp_path / "images/a.rec", tmp_path / "truth.mrc"), (tmp_path, None)):
        release = open_release(str(place), None if labels is None else str(labels))
        assert [item.z for item in release.slices] == [0, 1, 2, 3]
        for number, item in enumerate(release.slices):
            image, truth = item.read()
            np.testing.assert_array_equal(image, raw[number])
            np.testing.assert_array_equal(truth, ids[number])
