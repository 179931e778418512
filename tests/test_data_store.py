"""Stores: one slice at a time in and out, in both forms, whole or not at all."""

import json
import pickle
import shutil
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from autosam.data.importing import import_release
from autosam.data.linking import VolumeLinks, touching_pairs
from autosam.data.manifest import Item, Manifest
from autosam.data.sources import open_release
from autosam.data.store import Store
from autosam.data.stored_images import names_store
from autosam.errors import InputError
from autosam.images import write_labels
from autosam.metrics import components

FORMS = ("s.h5", "s.zarr")
HEADER = Manifest("made", license="CC0", citation="Nobody 2026", voxel_size_nm=(30.0, 8.0, 4.0), ids="3d")


def slice_of(z: int) -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(z).integers(0, 60_000, (30, 40)).astype(np.uint16)
    return image, np.where(image > 30_000, 300 * z, 0)


def fill(path: Path, stop_at: str = "", reads: list[str] | None = None, **settings: bool) -> Store:
    writer = Store.create(path, HEADER, **settings)

    def read(name: str, pair: tuple[np.ndarray, np.ndarray | None]):
        def reader():
            if reads is not None:
                reads.append(name)
            if name == stop_at:
                raise KeyboardInterrupt
            return pair

        return reader

    for z in (0, 1, 5):
        writer.append(f"a_z{z}", read(f"a_z{z}", slice_of(z)), group="g", volume="a", z=z, split="train")
    color = np.random.default_rng(9).integers(0, 255, (20, 25, 3)).astype(np.uint8)
    writer.append("color", read("color", (color, np.full((20, 25), 2**40, np.int64))), split="val")
    writer.append("bare", read("bare", (np.zeros((5, 6), np.float32), None)))
    writer.finish()
    return Store.open(path)


def message(error: pytest.ExceptionInfo[InputError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("form", FORMS)
def test_what_goes_in_comes_out(tmp_path: Path, form: str) -> None:
    store = fill(tmp_path / form)
    assert store.manifest == Manifest(**{**vars(HEADER), "items": store.items})
    assert [item.name for item in store.items] == ["a_z0", "a_z1", "a_z5", "color", "bare"]
    assert store.item("a_z5") == Item("a_z5", "g", "a", 5, (30, 40), "uint16", "uint16", "train")
    assert store.item(3) == Item("color", "", None, None, (20, 25, 3), "uint8", "uint64", "val")
    for z in (0, 1, 5):
        image, labels = slice_of(z)
        np.testing.assert_array_equal(store.image(f"a_z{z}"), image)
        np.testing.assert_array_equal(store.labels(f"a_z{z}"), labels)
        assert store.labels(f"a_z{z}").dtype == store.image(f"a_z{z}").dtype == np.uint16
    assert (store.labels("color") == 2**40).all()
    assert store.image("color").shape == (20, 25, 3)
    assert (store.image(3) == np.random.default_rng(9).integers(0, 255, (20, 25, 3))).all()
    assert store.image("bare").dtype == np.float32
    with pytest.raises(InputError, match="bare has no labels"):
        store.labels("bare")
    assert sorted(path.name for path in tmp_path.iterdir()) == [form]


@pytest.mark.parametrize("form", FORMS)
def test_volumes_are_addressable_in_3d(tmp_path: Path, form: str) -> None:
    store = pickle.loads(pickle.dumps(fill(tmp_path / form)))
    assert store.volumes == ("a",)
    volume = store.volume("a")
    assert volume.shape == (3, 30, 40)
    assert volume.z == (0, 1, 5)
    np.testing.assert_array_equal(volume.image(1, 3), [slice_of(1)[0], slice_of(5)[0]])
    np.testing.assert_array_equal(volume.labels(), [slice_of(z)[1] for z in (0, 1, 5)])
    assert volume.labels(2, 2).shape == (0, 30, 40)
    with pytest.raises(InputError, match="has no volume b; it has: a"):
        store.volume("b")


@pytest.mark.parametrize("form", FORMS)
def test_interrupted_goes_on_and_gives_the_same_bytes(tmp_path: Path, form: str) -> None:
    whole = fill(tmp_path / "whole" / form) if (tmp_path / "whole").mkdir() is None else None
    (tmp_path / "cut").mkdir()
    reads: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "cut" / form, "color", reads)
    assert not (tmp_path / "cut" / form).exists()
    store = fill(tmp_path / "cut" / form, reads=reads)
    assert reads == ["a_z0", "a_z1", "a_z5", "color", "color", "bare"]
    assert whole is not None
    one, other = (sorted(p for p in s.path.rglob("*") if p.is_file()) or [s.path] for s in (whole, store))
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in other]


def test_another_import_is_not_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "s.h5", "a_z1")
    with pytest.raises(InputError, match="another source or other settings"):
        Store.create(tmp_path / "s.h5", Manifest("other"))
    with pytest.raises(InputError, match="--restart"):
        Store.create(tmp_path / "s.h5", HEADER, origin="elsewhere")
    Store.create(tmp_path / "s.h5", Manifest("other"), restart=True)


@pytest.mark.parametrize("form", FORMS)
def test_exists_and_restart(tmp_path: Path, form: str) -> None:
    fill(tmp_path / form)
    with pytest.raises(InputError, match="exists already"):
        fill(tmp_path / form)
    assert len(fill(tmp_path / form, restart=True)) == 5


def test_only_a_store_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("all of it")
    with pytest.raises(InputError, match="not an autosam store"):
        fill(tmp_path / "mine", restart=True)
    assert (tmp_path / "mine/thesis.txt").exists()


def test_other_names_make_no_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not an autosam store; wanted a name ending in \.h5, \.hdf5, "):
        Store.create(tmp_path / "s", HEADER)
    assert not list(tmp_path.iterdir())


def test_a_store_of_tiff_pairs_is_refused_with_the_way_out(tmp_path: Path) -> None:
    image, labels = slice_of(1)
    for folder, array in (("images", image), ("labels", labels.astype(np.uint16))):
        (tmp_path / "old" / folder).mkdir(parents=True)
        write_labels(tmp_path / "old" / folder / "a_z1.tif", array)
    (tmp_path / "old/manifest.json").write_text(HEADER.dumps())
    assert names_store(tmp_path / "old")
    with pytest.raises(InputError, match="TIFF pairs, a form that is no longer read") as error:
        Store.open(tmp_path / "old")
    assert f"`autosam data import {tmp_path / 'old'} --source folder -o {tmp_path / 'old'}.h5`" in message(error)
    again, _ = import_release(open_release(str(tmp_path / "old"), source="folder"), tmp_path / "old.h5")
    np.testing.assert_array_equal(again.image("a_z1"), image)
    np.testing.assert_array_equal(again.labels("a_z1"), labels)


@pytest.mark.parametrize("form", FORMS)
def test_splits_are_written(tmp_path: Path, form: str) -> None:
    store = fill(tmp_path / form)
    changed = store.with_splits({"a_z0": None, "bare": "test"})
    for again in (changed, Store.open(store.path)):
        assert [item.split for item in again.items] == [None, "train", "train", "val", "test"]
    np.testing.assert_array_equal(changed.labels("a_z1"), slice_of(1)[1])
    with pytest.raises(InputError, match="no image nowhere"):
        store.with_splits({"nowhere": "val"})
    with pytest.raises(InputError, match="unknown part dev"):
        store.with_splits({"bare": "dev"})  # type: ignore[dict-item]


def test_forms_as_others_read_them(tmp_path: Path) -> None:
    for form in FORMS:
        fill(tmp_path / form)
    with h5py.File(tmp_path / "s.h5") as file:
        assert file["volumes/a/labels"].shape == (3, 30, 40)
        assert list(file["volumes/a/image"].attrs["resolution"]) == [30, 8, 4]
        assert json.loads(file["manifest"][()])["source"] == "made"
    group = zarr.open_group(tmp_path / "s.zarr/a", mode="r")
    (scale,) = group.attrs["ome"]["multiscales"]
    assert [axis["name"] for axis in scale["axes"]] == ["z", "y", "x"]
    assert scale["axes"][0]["unit"] == "nanometer"
    assert scale["datasets"][0]["coordinateTransformations"] == [{"type": "scale", "scale": [30, 8, 4]}]
    assert zarr.open_group(tmp_path / "s.zarr/a/labels", mode="r").attrs["ome"]["labels"] == ["instances"]
    assert zarr.open_array(tmp_path / "s.zarr/color/0", mode="r").shape == (3, 20, 25)


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ((np.zeros((4, 5)), np.zeros((4, 6), int)), r"x has an image of \(4, 5\) and labels of \(4, 6\)"),
        ((np.zeros((4, 5)), np.zeros((4, 5))), "the labels of x are float64; wanted ids"),
        ((np.zeros((4, 5)), np.full((4, 5), -1)), "negative id -1"),
        ((np.zeros((4, 5, 4)), None), r"the image x has shape \(4, 5, 4\)"),
        ((np.zeros((4, 5), complex), None), "holds complex128 values"),
        ((np.zeros((0, 5)), None), "not empty"),
    ],
)
def test_unfit_slices(tmp_path: Path, pair: tuple[np.ndarray, np.ndarray | None], words: str) -> None:
    writer = Store.create(tmp_path / "s.h5", HEADER)
    with pytest.raises(InputError, match=words) as error:
        writer.append("x", lambda: pair)
    message(error)
    with pytest.raises(InputError, match="no image was given"):
        writer.finish()


def test_unfit_names_and_volumes(tmp_path: Path) -> None:
    def flat(*shape: int):
        return lambda: (np.zeros(shape, np.uint8), np.zeros(shape, np.uint8))

    writer = Store.create(tmp_path / "s.h5", HEADER)
    writer.append("a", flat(4, 5), volume="v", z=3)
    with pytest.raises(InputError, match="two images are called A"):
        writer.append("A", flat(4, 5))
    with pytest.raises(InputError, match="not a valid file name"):
        writer.append("b/c", flat(4, 5))
    with pytest.raises(InputError, match="c is not the next slice of the volume v"):
        writer.append("c", flat(4, 5), volume="v", z=3)
    with pytest.raises(
        InputError, match=r"d is uint8 \(4, 6\) with labels, but a of its volume is uint8 \(4, 5\)"
    ):
        writer.append("d", flat(4, 6), volume="v", z=4)


def test_no_store(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.h5").write_bytes(b"no HDF5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["raw"] = np.zeros((3, 3))
    with h5py.File(tmp_path / "new.h5", "w") as file:
        file["manifest"] = HEADER.dumps().replace('"version": 1', '"version": 2')
    with h5py.File(tmp_path / "odd.h5", "w") as file:
        file["manifest"] = HEADER.dumps().replace('"license"', '"terms"')
    for name, words in {
        "none": "no such store",
        "empty": "not an autosam store",
        "bad.h5": "cannot be read",
        "other.h5": "not an autosam store",
        "new.h5": "version 2",
        "odd.h5": "damaged",
    }.items():
        with pytest.raises(InputError, match=words) as error:
            Store.open(tmp_path / name)
        assert name in message(error)


def test_unknown_items(tmp_path: Path) -> None:
    store = fill(tmp_path / "s.h5")
    for which in (-1, 5, "nowhere"):
        with pytest.raises(InputError, match=r"5 (image|others)"):
            store.image(which)


def test_linked_components_are_those_of_the_whole_volume() -> None:
    rng = np.random.default_rng(0)
    for density, min_size in ((0.1, 1), (0.2, 5), (0.35, 3), (0.0, 1), (1.0, 1)):
        volume = rng.random((6, 15, 17)) < density
        flat = [components(plane, min_size=1) for plane in volume]
        links = VolumeLinks(enumerate(flat), min_size=min_size)
        found = np.stack([links.relabel(z, plane) for z, plane in enumerate(flat)])
        whole = components(volume, min_size=min_size)
        np.testing.assert_array_equal(found, whole)
        assert links.count == whole.max()


def test_a_gap_separates() -> None:
    flat = np.ones((2, 2), np.int32)
    links = VolumeLinks([(0, flat), (1, flat), (5, flat)], min_size=1)
    assert [int(links.relabel(i, flat).max()) for i in range(3)] == [1, 1, 2]


def test_touching_pairs_equal_a_slow_count_also_where_ids_touch_in_a_slice() -> None:
    rng = np.random.default_rng(0)
    above, below = (np.kron(rng.integers(0, 6, (5, 6)), np.ones((3, 4), int))[:14, :22] for _ in range(2))
    expected = {
        (int(above[row, column]), int(near))
        for row, column in np.ndindex(above.shape)
        for near in np.unique(below[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2])
        if above[row, column] and near
    }
    assert set(map(tuple, touching_pairs(above, below).tolist())) == expected
    assert 10 < len(expected) < 25


def test_touching_pairs_at_the_border() -> None:
    corner, opposite = np.zeros((3, 3), int), np.zeros((3, 3), int)
    corner[0, 0], opposite[2, 2] = 1, 2
    assert touching_pairs(corner, opposite).shape == (0, 2)
    opposite[1, 1] = 3
    assert touching_pairs(corner, opposite).tolist() == [[1, 3]]
    assert touching_pairs(opposite, corner).tolist() == [[3, 1]]


@pytest.mark.parametrize("form", FORMS)
def test_a_few_slices_are_in_memory(tmp_path: Path, form: str) -> None:
    shape, n = (512, 512), 24
    writer = Store.create(tmp_path / form, HEADER)
    tracemalloc.start()
    for z in range(n):
        writer.append(
            f"z{z:02d}", lambda z=z: (np.full(shape, z, np.uint16), np.full(shape, z, np.uint16)), volume="v", z=z
        )
    writer.finish(relabel=lambda item, labels: labels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A slice is half a megabyte, the volume with its labels 25.
    assert peak < 6 * 2 * np.zeros(shape, np.uint16).nbytes


@pytest.mark.parametrize("form", FORMS)
def test_restart_deletes_nothing_of_others(tmp_path: Path, form: str) -> None:
    path = tmp_path / form
    fill(path)
    added = {"s.h5": ["volumes/a/skeleton", "mine"], "s.zarr": ["notes.txt", "a/labels/mine"]}[form]
    if form == "s.h5":
        with h5py.File(path, "r+") as file:
            for name in added:
                file[name] = [1, 2]
    else:
        (path / added[0]).write_text("read me")
        zarr.open_group(path / "a/labels", mode="a").create_group("mine")
    with pytest.raises(InputError, match="which autosam did not write and --restart would delete") as error:
        fill(path, restart=True)
    assert all(name in str(error.value) for name in added)
    assert len(Store.open(path)) == 5
    if form == "s.h5":
        with h5py.File(path, "r+") as file:
            for name in added:
                del file[name]
    else:
        (path / added[0]).unlink()
        shutil.rmtree(path / added[1])
    assert len(fill(path, restart=True)) == 5
