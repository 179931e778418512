"""What a user types becomes images: whole trees, files that are left out, and what is no file at all."""

import os
import socket
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile

from autosam.errors import InputError
from autosam.images import find_sources, read_image
from autosam.images.folder_listing import made_of_others
from autosam.images.readers import Selection
from autosam.images.source import search_sources

GRAY = np.arange(12 * 17, dtype=np.uint8).reshape(12, 17)


def png(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(imagecodecs.png_encode(GRAY))
    return path


def test_a_folder_is_searched_with_its_subfolders(tmp_path: Path) -> None:
    for name in ("z.png", "b/x.png", "a/x.png", "a/deep/er/x.png", ".hidden/x.png", "a/.h.png"):
        png(tmp_path / name)
    png(tmp_path / "results" / "z_overlay.png")
    (tmp_path / "results" / "autosam_run.json").write_text("{}")
    found = find_sources([tmp_path])
    assert [(str(source.folder), source.name) for source in found] == [
        (".", "z"),
        ("a", "x"),
        (str(Path("a/deep/er")), "x"),
        ("b", "x"),
    ]
    with pytest.raises(InputError, match=r"results holds results of autosam .*; give the folder of the images"):
        find_sources([tmp_path / "results"])


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    png(tmp_path / "a" / "x.png")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match="a may not be read: permission denied"):
        find_sources([tmp_path / "a"])


def test_a_pattern_starts_from_its_fixed_folder(tmp_path: Path) -> None:
    for name in ("in/a/x.png", "in/b/x.png"):
        png(tmp_path / name)
    found = find_sources([str(tmp_path / "in" / "*" / "x.png")])
    assert [(str(source.folder), source.name) for source in found] == [("a", "x"), ("b", "x")]
    assert [str(source.folder) for source in find_sources([str(tmp_path / "in" / "a" / "*.png")])] == ["."]


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    png(tmp_path / "a" / "x.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "also").symlink_to(tmp_path / "a", target_is_directory=True)
    # Also through the second link it is one file.
    assert [source.path for source in find_sources([tmp_path])] == [tmp_path / "a" / "x.png"]


def test_two_files_of_one_name_do_not_stop_the_others(tmp_path: Path) -> None:
    one, two, three = png(tmp_path / "a.png"), tmp_path / "A.tif", png(tmp_path / "b.png")
    tifffile.imwrite(two, GRAY)
    found = search_sources([tmp_path])
    assert [source.path for source in found.sources] == [three]
    (left_out,) = found.left_out
    assert left_out.failure
    assert str(one) in left_out.reason
    assert str(two) in left_out.reason
    three.unlink()
    with pytest.raises(InputError, match="would both write their results as"):
        search_sources([tmp_path])


def test_masks_beside_their_images_are_left_out(tmp_path: Path) -> None:
    names = ("s.png", "s_masks.png", "s_cp_masks.png", "t_img.png", "t_masks.png", "u_masks.png", "v_gfp.png")
    for name in names:
        png(tmp_path / name)
    found = search_sources([tmp_path])
    assert [source.path.name for source in found.sources] == ["s.png", "t_img.png", "u_masks.png", "v_gfp.png"]
    assert [left_out.path.name for left_out in found.left_out] == ["s_cp_masks.png", "s_masks.png", "t_masks.png"]
    assert not any(left_out.failure for left_out in found.left_out)
    assert "labels or a picture of s.png" in found.left_out[0].reason
    # Named, it is an image; and so is the channel of an image.
    found = search_sources([tmp_path / "s_masks.png", tmp_path])
    assert found.sources[0].path.name == "s_masks.png"
    assert [left_out.path.name for left_out in found.left_out] == ["s_cp_masks.png", "t_masks.png"]
    found = search_sources([tmp_path], endings=["_masks"])
    assert found.left_out == ()


@pytest.mark.parametrize(
    "ending",
    [
        "_mask.png", "_labels.tif", "_Label.TIF", "_seg.png", "_overlay.png", "_flows.tif", "_cp_outlines.png",
        "-mask.png", ".masks.png", " mask.png", "_Simple Segmentation.h5", "_Probabilities.h5", "_gt.tif",
    ],
)  # fmt: skip
def test_names_of_what_was_made_of_an_image(ending: str) -> None:
    files = [Path("in/a.ome.tif"), Path(f"in/a{ending}"), Path(f"other/a{ending}"), Path(f"in/b{ending}")]
    assert made_of_others(files) == {files[1]: files[0]}


def test_folders_of_labels_beside_folders_of_images_are_left_out(tmp_path: Path) -> None:
    for name in (
        "pairs/images/a.png", "pairs/masks/a.png", "pairs/masks/b.png", "cells/a.png", "cells/labels/a_labels.png",
        "train/x/1.png", "train/y_masks/1.png", "train/y_masks/2.png", "masks/alone.png",
    ):  # fmt: skip
        png(tmp_path / name)
    found = search_sources([tmp_path])
    names = [source.path.relative_to(tmp_path).as_posix() for source in found.sources]
    assert names == [
        "cells/a.png",
        "masks/alone.png",
        "pairs/images/a.png",
        "train/x/1.png",
        "train/y_masks/2.png",
    ]
    assert not any(left_out.failure for left_out in found.left_out)
    # Asked for, they are images.
    assert len(find_sources([tmp_path / "pairs" / "masks"])) == 2


def test_what_is_no_file_is_refused_in_one_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    (tmp_path / "nothing.tif").symlink_to(tmp_path / "nothere.tif")
    (tmp_path / "loop.tif").symlink_to(tmp_path / "loop.tif")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    here = os.getcwd()
    # The path of a socket is short.
    os.chdir(tmp_path)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("socket.h5")
    finally:
        os.chdir(here)
    png(tmp_path / "a.png")
    reasons = {
        "pipe.tif": "is a pipe; give a file",
        "nothing.tif": "is a link to nothing",
        "loop.tif": "cannot be opened: too many levels of symbolic links",
        "device.png": "is a device; give a file",
        "socket.h5": "is a socket; give a file",
    }
    found = search_sources([tmp_path])
    assert [source.path.name for source in found.sources] == ["a.png"]
    assert {left_out.path.name: left_out.reason for left_out in found.left_out} == {
        name: f"{tmp_path / name} {reason}." for name, reason in reasons.items()
    }
    for name, reason in reasons.items():
        with pytest.raises(InputError, match=f"{name} {reason}"):
            find_sources([tmp_path / name])
        with pytest.raises(InputError, match=f"{name} {reason}"):
            read_image(tmp_path / name)


def test_a_file_without_the_selected_channel_does_not_stop_the_others(tmp_path: Path) -> None:
    pair = np.stack([GRAY, GRAY[::-1]])
    for name in ("a.tif", "b.tif"):
        tifffile.imwrite(tmp_path / name, pair, imagej=True, metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "c.tif", GRAY)
    found = search_sources([tmp_path], Selection(channel=1))
    assert [source.channel for source in found.sources] == [1, 1]
    assert [left_out.reason for left_out in found.left_out] == [
        f"{tmp_path / 'c.tif'} has no channel 1; those it has, counted from 0: 0."
    ]
    with pytest.raises(InputError, match=r"a\.tif has no channel 5.* 0, 1\. \(2 more like it\)"):
        search_sources([tmp_path], Selection(channel=5))


@pytest.mark.skipif(os.name == "nt", reason="names are no bytes there")
def test_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    for suffix in (".png", ".tif", ".h5"):
        path = tmp_path / (name + suffix)
        if suffix == ".h5":
            with h5py.File(path, "w") as file:
                file["x"] = GRAY
        elif suffix == ".tif":
            tifffile.imwrite(path, GRAY)
        else:
            png(path)
        (source,) = find_sources([path])
        np.testing.assert_array_equal(read_image(source), GRAY)
