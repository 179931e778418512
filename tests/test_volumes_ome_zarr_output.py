"""The store of labels: what is read again, by us and by others, and what a kill leaves behind."""

import errno
import hashlib
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from autosam.errors import OutputError
from autosam.images import read_labels
from autosam.images.zarr_labels import open_zarr_labels
from autosam.volumes.ome_zarr_output import LabelStore, OmeVersion, writing
from autosam.volumes.store_levels import plan_levels

VERSIONS: tuple[OmeVersion, ...] = ("0.5", "0.4")
SHAPE = (20, 300, 170)
CHUNK, REGION = (8, 32, 32), (16, 64, 96)


def made(
    folder: Path, version: OmeVersion = "0.5", *, dtype: str = "<u4", voxel_size: Any = (30.0, 8.0, 8.0)
) -> LabelStore:
    levels = plan_levels(SHAPE, voxel_size, chunk=CHUNK, region=REGION)
    folder.mkdir(parents=True, exist_ok=True)
    store = LabelStore(folder / "labels.zarr", folder / "written", dtype, levels, voxel_size, version)
    store.create({})
    return store


def drawn(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 70_000, (5, 19, 11)) * (rng.random((5, 19, 11)) < 0.4)
    labels = np.kron(coarse, np.ones((4, 16, 16), int))[:20, :300, :170]
    # The last region holds background alone.
    labels[16:, 256:, 96:] = 0
    return labels.astype(np.uint32)


def digest(folder: Path) -> str:
    found = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            found.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return found.hexdigest()


def fill(store: LabelStore, labels: np.ndarray) -> None:
    for region in store.regions():
        store.write(region, labels[region])


@pytest.mark.parametrize("version", VERSIONS)
def test_labels_are_read_again(tmp_path: Path, version: OmeVersion) -> None:
    labels = drawn()
    store = made(tmp_path, version)
    assert store.read((slice(0, 20), slice(0, 5), slice(0, 5))).max() == 0
    fill(store, labels)
    np.testing.assert_array_equal(read_labels(store.folder), labels)
    array = open_zarr_labels(store.folder).array
    assert array.dtype == np.uint32
    assert (array.chunks, array.shards) == (CHUNK, REGION if version == "0.5" else None)
    region = (slice(3, 19), slice(60, 70), slice(90, 120))
    np.testing.assert_array_equal(store.read(region), labels[region])


@pytest.mark.parametrize("version", VERSIONS)
def test_others_find_a_label_image_with_its_scales(tmp_path: Path, version: OmeVersion) -> None:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Label, Multiscales, Reader

    labels = drawn()
    store = made(tmp_path, version, voxel_size=(30.0, 8.0, 6.0))
    fill(store, labels)
    location = parse_url(store.folder)
    assert location is not None
    (node,) = list(Reader(location)())
    assert {type(spec) for spec in node.specs} >= {Label, Multiscales}
    np.testing.assert_array_equal(np.asarray(node.data[0]), labels)
    assert node.metadata["axes"] == [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    transforms = node.metadata["coordinateTransformations"]
    assert transforms[0] == [{"type": "scale", "scale": [0.03, 0.008, 0.006]}]
    assert transforms[1] == [
        {"type": "scale", "scale": [0.03, 0.016, 0.012]},
        {"type": "translation", "translation": [0.0, 0.004, 0.003]},
    ]


def test_a_part_of_a_volume_says_where_it_begins(tmp_path: Path) -> None:
    store = replace(made(tmp_path / "a"), folder=tmp_path / "b", marks=tmp_path / "c", origin=(2, 0, 100))
    store.create({})
    attributes: Any = zarr.open_group(store.folder, mode="r").attrs["ome"]
    levels = attributes["multiscales"][0]["datasets"]
    shifts = [level["coordinateTransformations"][1]["translation"] for level in levels]
    np.testing.assert_allclose(shifts, [[0.06, 0.0, 0.8], [0.06, 0.004, 0.804]])


@pytest.mark.parametrize("version", VERSIONS)
def test_an_unknown_voxel_size_has_no_unit(tmp_path: Path, version: OmeVersion) -> None:
    store = made(tmp_path, version, voxel_size=None)
    attributes = dict(zarr.open_group(store.folder, mode="r").attrs)
    said: Any = attributes.get("ome", attributes)
    assert said["multiscales"][0]["axes"] == [{"name": axis, "type": "space"} for axis in "zyx"]
    assert "image-label" in said


@pytest.mark.parametrize("version", VERSIONS)
def test_any_order_and_repeats_give_the_same_bytes(tmp_path: Path, version: OmeVersion) -> None:
    labels = drawn()
    first, second = made(tmp_path / "a", version), made(tmp_path / "b", version)
    fill(first, labels)
    regions = second.regions()
    assert not any(second.is_written(region) for region in regions)
    # A writer that was killed: part of the files, a temporary one, and no mark.
    second.write(regions[2], labels[regions[2]] + 1)
    (second.marks / "0_0_0_96").unlink(missing_ok=True)
    left = next((second.folder / "0").rglob("[0-9]"))
    left.with_name("0.ab.partial").write_bytes(b"half")
    for region in reversed(regions):
        pickle.loads(pickle.dumps(second)).write(region, labels[region])
    second.tidy()
    assert all(second.is_written(region) for region in regions)
    assert digest(first.folder) == digest(second.folder)


def test_background_takes_no_files(tmp_path: Path) -> None:
    store = made(tmp_path)
    region = store.regions()[-1]
    store.write(region, np.zeros([part.stop - part.start for part in region], np.uint64))
    assert store.is_written(region)
    assert not [file for file in (store.folder / "0").rglob("*") if file.is_file() and file.name != "zarr.json"]


def test_ids_that_do_not_fit_and_wrong_shapes_are_faults_of_the_program(tmp_path: Path) -> None:
    store = made(tmp_path, dtype="|u1")
    region = store.regions()[0]
    with pytest.raises(AssertionError, match="does not hold"):
        store.write(region, np.full([part.stop - part.start for part in region], 256))
    with pytest.raises(AssertionError, match="shape"):
        store.write(region, np.zeros((1, 1, 1), np.uint8))


def test_a_full_disk_is_one_line_and_leaves_no_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zarr.storage._local as local

    store, labels = made(tmp_path), drawn()
    regions = store.regions()
    store.write(regions[0], labels[regions[0]])

    def full(*_: Any, **__: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(local, "_put", full)
        with pytest.raises(OutputError, match=r"No space left on device; .*run the same command again"):
            store.write(regions[1], labels[regions[1]])
    assert [store.is_written(region) for region in regions[:2]] == [True, False]
    store.write(regions[1], labels[regions[1]])
    np.testing.assert_array_equal(store.read(regions[1]), labels[regions[1]])


def test_what_is_no_fault_of_the_system_passes() -> None:
    with pytest.raises(KeyError), writing(Path("x")):
        raise KeyError
