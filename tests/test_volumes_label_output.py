"""Outputs of volumes: nothing looks finished before it is, and nothing of others is replaced."""

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autosam.errors import InputError, OutputError
from autosam.images import read_labels
from autosam.volumes import label_output
from autosam.volumes.label_output import LabelOutput, _remove, expected_bytes, open_output

SHAPE = (6, 40, 50)
LABELS = np.arange(np.prod(SHAPE)).reshape(SHAPE) // 100


def opened(path: Path, identity: str = "a", **options: Any) -> LabelOutput:
    given: dict[str, Any] = {
        "shape": SHAPE, "dtype": np.dtype(np.uint16), "voxel_size": (30.0, 8.0, 8.0), "identity": identity,
        "chunk": (2, 16, 16), "region": (4, 32, 32),
    } | options  # fmt: skip
    return open_output(path, **given)


def fill(output: LabelOutput, labels: np.ndarray = LABELS) -> LabelOutput:
    for region in output.store.regions():
        output.store.write(region, labels[region])
    return output


def test_the_output_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "mito.zarr"
    output = fill(opened(path))
    assert not path.exists()
    assert [entry.name for entry in tmp_path.iterdir()] == [".mito.zarr.partial"]
    moved = output.finish()
    np.testing.assert_array_equal(read_labels(path), LABELS)
    region = moved.store.regions()[1]
    np.testing.assert_array_equal(moved.store.read(region), LABELS[region])
    assert moved.is_finished
    assert opened(path).is_finished
    np.testing.assert_array_equal(opened(path).store.read(region), LABELS[region])
    moved.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["mito.zarr"]


def test_a_second_run_goes_on_where_the_first_left_off(tmp_path: Path) -> None:
    output = opened(tmp_path / "mito.zarr")
    region = output.store.regions()[1]
    output.store.write(region, LABELS[region])
    again = opened(tmp_path / "mito.zarr")
    assert [again.store.is_written(part) for part in again.store.regions()].count(True) == 1
    np.testing.assert_array_equal(again.store.read(region), LABELS[region])
    # Other labels start anew.
    other = opened(tmp_path / "mito.zarr", "b")
    assert not any(other.store.is_written(part) for part in other.store.regions())
    assert other.store.read(region).max() == 0


def test_an_unfinished_output_is_not_finished(tmp_path: Path) -> None:
    output = opened(tmp_path / "mito.zarr")
    with pytest.raises(AssertionError, match="regions are missing"):
        output.finish()


def test_a_kill_between_the_last_steps_is_made_good(tmp_path: Path) -> None:
    path = tmp_path / "mito.zarr"
    output = fill(opened(path))
    (output.work / "ready").touch()
    output.store.folder.rename(path)
    again = opened(path)
    assert again.is_finished
    again.finish().close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["mito.zarr"]
    np.testing.assert_array_equal(read_labels(path), LABELS)


def test_what_exists_is_replaced_on_request_only(tmp_path: Path) -> None:
    path = tmp_path / "mito.zarr"
    path.mkdir()
    (path / "note.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"mito\.zarr exists, .*--overwrite"):
        opened(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["mito.zarr"]
    output = fill(opened(path, overwrite=True))
    assert (path / "note.txt").exists()
    with pytest.raises(OutputError, match="exists"):
        opened(path)
    output.finish().close()
    np.testing.assert_array_equal(read_labels(path), LABELS)
    assert [entry.name for entry in tmp_path.iterdir()] == ["mito.zarr"]


def test_an_output_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    for name in ("mito.zarr", "mito.tif"):
        path = tmp_path / name
        fill(opened(path)).finish()
        _remove(path)
        again = opened(path)
        assert not again.is_finished
        if name == "mito.zarr":
            fill(again)
        again.finish()
        np.testing.assert_array_equal(read_labels(path), LABELS)


@pytest.mark.parametrize("name", ["mito.tif", "mito.h5"])
def test_files_appear_whole_and_are_the_same_bytes(tmp_path: Path, name: str) -> None:
    outputs = [fill(opened(tmp_path / folder / name)) for folder in ("a", "b")]
    assert not list(tmp_path.rglob(name))
    first, second = (output.finish().path for output in outputs)
    np.testing.assert_array_equal(read_labels(first), LABELS)
    assert first.read_bytes() == second.read_bytes()
    np.testing.assert_array_equal(outputs[0].store.read(outputs[0].store.regions()[0]), LABELS[:4, :32, :32])
    outputs[0].close()
    assert [entry.name for entry in (tmp_path / "a").iterdir()] == [name]


def test_a_kill_while_a_file_is_made_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mito.tif"
    output = fill(opened(path))

    def killed(place: Path, _: object) -> None:
        place.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(label_output, "write_tiff", killed)
        with pytest.raises(KeyboardInterrupt):
            output.finish()
    assert not path.exists()
    opened(path).finish().close()
    np.testing.assert_array_equal(read_labels(path), LABELS)
    assert [entry.name for entry in tmp_path.iterdir()] == ["mito.tif"]


def test_too_little_space_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 10**9))
    shape = (10_000, 10_000, 10_000)
    assert expected_bytes(shape) == 20_000_000_000
    assert expected_bytes(shape, ".tif") == 40_000_000_000
    with pytest.raises(OutputError, match=r"needs about 20 GB, and 1 GB are free"):
        opened(tmp_path / "mito.zarr", shape=shape, chunk=None, region=None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["mito.png", "mito", "mito.mrc"])
def test_formats_that_hold_no_volume_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"volumes are written to \.zarr"):
        opened(tmp_path / name)


def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file"):
        opened(tmp_path / "file" / "mito.zarr")
