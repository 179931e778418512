"""Writing: whole files or none, and ids as they are."""

import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from autosam.errors import InputError, OutputError
from autosam.images import (
    ImageSource,
    atomic_path,
    ensure_folder,
    read_labels,
    read_pixel_size,
    smallest_unsigned,
    write_json,
    write_labels,
    write_png,
    write_text,
)
from autosam.images.write import remove_unfinished

SUFFIXES = [".tif", ".tiff", ".png", ".h5", ".hdf5", ".zarr"]
LABELS = np.arange(300, dtype=np.int32).reshape(15, 20)


def message(error: pytest.ExceptionInfo[Exception]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# Whole or none


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit, InputError])
def test_an_interrupted_file_leaves_the_old_one(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def interrupted() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert os.listdir(tmp_path) == ["a.txt"]
    assert target.read_text() == "old"


def test_an_interrupted_folder_is_removed(tmp_path: Path) -> None:
    def interrupted() -> None:
        with atomic_path(tmp_path / "a.zarr") as temporary:
            temporary.mkdir()
            (temporary / "chunk").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    def full() -> None:
        with atomic_path(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(temporary))

    with pytest.raises(OutputError) as error:
        full()
    assert message(error).startswith(f"{tmp_path / 'a.txt'} cannot be written: No space left on device")
    assert os.listdir(tmp_path) == []


FULL_DISK = """
import resource, signal, sys, os
import numpy as np
from autosam.errors import OutputError
from autosam.images import write_labels

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
labels = np.random.default_rng(0).integers(0, 60_000, (400, 500))
for suffix in sys.argv[2:]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    try:
        write_labels(f"{sys.argv[1]}/a{suffix}", labels)
    except OutputError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(os.listdir(sys.argv[1]))
"""


def test_every_format_survives_a_file_that_cannot_grow(tmp_path: Path) -> None:
    # The limit on file sizes stops writes in the middle, as a full disk does.
    result = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path), ".tif", ".png", ".h5", ".zarr"],
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, left = result.stdout.splitlines()
    assert left == "[]"
    assert len(lines) == 4
    for line, suffix in zip(lines, (".tif", ".png", ".h5", ".zarr"), strict=True):
        assert line.startswith(f"{tmp_path}/a{suffix} cannot be written: ")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_folder_that_cannot_be_is_named(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "file").write_text("")
    for folder in ("file", "nothere"):
        if folder == "nothere" and suffix == ".zarr":
            continue  # zarr makes the folders above itself
        with pytest.raises(OutputError) as error:
            write_labels(tmp_path / folder / f"a{suffix}", LABELS)
        assert f"{folder}/a{suffix} cannot be written" in message(error)


def test_a_folder_in_the_way_is_left(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_labels(tmp_path / "a.png", LABELS)
    assert os.listdir(tmp_path) == ["a.png"]


def test_ensure_folder(tmp_path: Path) -> None:
    made = ensure_folder(str(tmp_path / "a" / "b"))
    assert made == tmp_path / "a" / "b"
    assert made.is_dir()
    assert os.listdir(ensure_folder(made)) == []
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match="is a file") as error:
            ensure_folder(path)
        assert str(path) in message(error)


def test_a_folder_without_rights_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tmp_path))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(OutputError, match="cannot be written to: Permission denied"):
        ensure_folder(tmp_path)


# Labels


@pytest.mark.parametrize(
    ("top", "name"),
    [
        (0, "uint8"),
        (255, "uint8"),
        (256, "uint16"),
        (65_535, "uint16"),
        (65_536, "uint32"),
        (2**32, "uint64"),
    ],
)
def test_smallest_unsigned(top: int, name: str) -> None:
    assert smallest_unsigned(top) == np.dtype(name)


def test_negative_ids_are_refused() -> None:
    with pytest.raises(InputError, match="-1"):
        smallest_unsigned(-1)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("shape", [(15, 20), (1, 1), (1, 300), (300, 1), (100, 3)])
def test_images_come_back_unchanged(tmp_path: Path, suffix: str, shape: tuple[int, int]) -> None:
    labels = LABELS.ravel()[-np.prod(shape) :].reshape(shape)
    write_labels(tmp_path / f"a{suffix}", labels)
    back = read_labels(tmp_path / f"a{suffix}")
    assert back.dtype == np.uint16
    np.testing.assert_array_equal(back, labels)
    assert os.listdir(tmp_path) == [f"a{suffix}"]


@pytest.mark.parametrize("suffix", [s for s in SUFFIXES if s != ".png"])
@pytest.mark.parametrize("shape", [(3, 10, 10), (12, 5, 5), (100, 1, 3)])
def test_volumes_come_back_unchanged(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    labels = LABELS.ravel().reshape(shape).astype(np.int64) * 1000
    write_labels(tmp_path / f"a{suffix}", labels)
    back = read_labels(tmp_path / f"a{suffix}")
    assert back.dtype == np.uint32
    np.testing.assert_array_equal(back.reshape(shape), labels)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_image_without_objects_is_zeros(tmp_path: Path, suffix: str) -> None:
    write_labels(tmp_path / f"a{suffix}", np.zeros((4, 5), np.int32))
    back = read_labels(tmp_path / f"a{suffix}")
    assert back.dtype == np.uint8
    assert back.shape == (4, 5)
    assert not back.any()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_labels_give_the_same_bytes_and_replace_the_old(tmp_path: Path, suffix: str) -> None:
    def content() -> dict[str, bytes]:
        return {str(p.relative_to(tmp_path)): p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()}

    write_labels(tmp_path / f"a{suffix}", LABELS)
    first = content()
    write_labels(tmp_path / f"a{suffix}", LABELS[:3])
    assert read_labels(tmp_path / f"a{suffix}").shape == (3, 20)
    write_labels(tmp_path / f"a{suffix}", LABELS)
    assert content() == first
    assert os.listdir(tmp_path) == [f"a{suffix}"]


def test_labels_are_compressed(tmp_path: Path) -> None:
    labels = np.repeat(np.arange(400, dtype=np.int32)[:, None], 500, axis=1)
    for suffix in (".tif", ".png", ".h5"):
        write_labels(tmp_path / f"a{suffix}", labels)
        assert (tmp_path / f"a{suffix}").stat().st_size < labels.size * 2 / 10
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].dtype == np.uint16
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["labels"].compression == "gzip"


def test_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    for name, labels, says in (
        ("a.png", LABELS * 1000, "do not fit into a PNG"),
        ("a.png", LABELS.reshape(3, 10, 10), "do not fit into a PNG"),
        ("a.jpg", LABELS, "not to '.jpg'"),
        ("a.tif", LABELS.astype(float), "float64"),
        ("a.tif", LABELS - 1, "none negative"),
        ("a.tif", LABELS[:0], "not empty"),
        ("a.tif", LABELS.ravel(), "shape"),
    ):
        with pytest.raises(InputError, match=says) as error:
            write_labels(tmp_path / name, labels)
        message(error)
    assert os.listdir(tmp_path) == []


# Pictures and text


def test_pictures(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (7, 9, 3)).astype(np.uint8)
    write_png(tmp_path / "a.png", rgb[:, ::-1])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), rgb[:, ::-1])
    for bad in (rgb.astype(np.uint16), rgb[..., :2], rgb[:0]):
        with pytest.raises(InputError, match="wanted uint8"):
            write_png(tmp_path / "b.png", bad)


def test_a_row_of_numbers_is_one_line_of_json(tmp_path: Path) -> None:
    content = {
        "rows": [[36.6, -2.5e-07, 3], [4, 5, 6]],
        "empty": [],
        "mixed": [1, "2", None],
        "text": ["[\n  1,\n  2\n]", "[ 1, 2 ]"],
        "objects": [{"box": [0, 1, 2, 3]}],
    }
    write_json(tmp_path / "a.json", content)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == content
    assert "    [36.6, -2.5e-07, 3],\n    [4, 5, 6]\n  ],\n" in text
    assert '      "box": [0, 1, 2, 3]\n' in text


def test_text_and_json(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "µm²\n")
    assert (tmp_path / "a.txt").read_bytes() == b"\xc2\xb5m\xc2\xb2\n"
    write_json(tmp_path / "a.json", {"b": 1, "a": [None, "µ"]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"b": 1, "a": [None, "µ"]}
    assert (tmp_path / "a.json").read_bytes().endswith(b"}\n")
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "b.json", {"x": float("nan")})
    assert not (tmp_path / "b.json").exists()


# Pixel sizes


@pytest.mark.parametrize("pixel_size_nm", [4.6, 250.0, 12.345678])
@pytest.mark.parametrize("shape", [(15, 20), (3, 15, 20)])
@pytest.mark.parametrize(
    ("top", "dialect"), [(255, "imagej"), (65_535, "imagej"), (65_536, "ome"), (2**40, "tags")]
)
def test_tiffs_carry_the_pixel_size(
    tmp_path: Path, top: int, dialect: str, shape: tuple[int, ...], pixel_size_nm: float
) -> None:
    labels = np.zeros(shape, np.uint64)
    labels[..., 2:5, 3:9] = top
    labels[..., 14, 19] = 1
    path = tmp_path / "a_labels.tif"
    write_labels(path, labels, pixel_size_nm=pixel_size_nm)
    again = read_labels(path)
    np.testing.assert_array_equal(again, labels)
    assert again.dtype == smallest_unsigned(top)
    page = None if len(shape) == 2 else 1
    assert read_pixel_size(ImageSource(path, page=page, pages=3)) == pytest.approx(pixel_size_nm, rel=1e-6)
    with tifffile.TiffFile(path) as file:
        assert (file.is_imagej, file.is_ome) == (dialect == "imagej", dialect == "ome")
        assert file.series[0].axes == "ZYX"[-len(shape) :]
        pixels, length = file.pages.first.tags["XResolution"].value
        if dialect == "imagej":
            assert file.imagej_metadata is not None
            assert file.imagej_metadata["unit"] == "um"
            assert pixels / length == pytest.approx(1000 / pixel_size_nm)
        elif dialect == "tags":
            assert pixels / length == pytest.approx(1e7 / pixel_size_nm)
        else:
            assert file.ome_metadata is not None
            assert 'PhysicalSizeXUnit="µm"' in file.ome_metadata
    before = path.read_bytes()
    write_labels(path, labels, pixel_size_nm=pixel_size_nm)
    assert path.read_bytes() == before


def test_an_unknown_pixel_size_is_not_written(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.tif", LABELS)
    assert read_pixel_size(ImageSource(tmp_path / "a.tif")) is None


def test_what_a_killed_process_left_is_removed(tmp_path):
    left = tmp_path / ".a[1]_labels.0123abcd.tif"
    others = [
        tmp_path / name for name in (".a[1]_labels.0123abcd.png", ".a1_labels.0123abcd.tif", "a[1]_labels.tif")
    ]
    for path in (left, *others):
        path.touch()
    remove_unfinished(tmp_path / "a[1]_labels.tif")
    assert not left.exists()
    assert all(path.exists() for path in others)
