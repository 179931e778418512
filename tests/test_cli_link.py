"""`autosam link`: labels of slices in, a volume out; no network, and one line for what does not fit."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from skimage.io import imsave
from typer.testing import CliRunner

from autosam.cli import app, main

DEPTH = 7


@pytest.fixture
def stack() -> np.ndarray:
    """Two tubes, whose ids change from slice to slice; the first is missing in slice 3."""
    labels = np.zeros((DEPTH, 40, 50), np.uint16)
    for z in range(DEPTH):
        labels[z, 5:15, 5:15] = 0 if z == 3 else z + 1
        labels[z, 20:35, 20:40] = 100 - z
    return labels


@pytest.fixture
def folder(stack: np.ndarray, tmp_path: Path) -> Path:
    place = tmp_path / "slices"
    place.mkdir()
    for z, labels in enumerate(stack):
        imsave(place / f"s{z:02d}.png", labels, check_contrast=False)
    return place


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run the program as a user does; give the status and both outputs."""
    old, sys.argv = sys.argv, ["autosam", "link", *map(str, arguments)]
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = old
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def expected(stack: np.ndarray, *, filled: bool = False) -> np.ndarray:
    found = np.zeros(stack.shape, np.uint8)
    found[stack > 50] = 2
    found[(stack > 0) & (stack < 50)] = 1
    if filled:
        found[3, 5:15, 5:15] = 1
    return found


def test_a_folder_becomes_a_volume(folder, stack, tmp_path, capsys):
    out = tmp_path / "volume.zarr"
    status, said, _ = run(capsys, folder, "-o", out, "--voxel-size", "50,4,4")
    assert status == 0
    assert said.strip() == f"13 objects linked into 2 instances: {out}"
    group = zarr.open_group(out, mode="r")
    assert (group["0"][:] == expected(stack)).all()
    scale = group.attrs["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert scale == [0.05, 0.004, 0.004]
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("suffix", ["tif", "h5"])
@pytest.mark.parametrize("given", ["stack.tif", "stack.zarr", "stack.h5"])
def test_stacks_of_other_formats(given, suffix, stack, tmp_path, capsys):
    path = tmp_path / given
    if given.endswith("tif"):
        tifffile.imwrite(path, stack, metadata={"axes": "ZYX"})
    elif given.endswith("zarr"):
        zarr.create_array(path, data=stack, chunks=(2, 16, 16), dimension_names=list("zyx"))
    else:
        with h5py.File(path, "w") as file:
            file["labels"] = stack
    out = tmp_path / f"out.{suffix}"
    status, said, err = run(capsys, path, "-o", out, "--fill", "--axes", "zyx")
    assert status == 0, err
    assert "2 instances, 1 object interpolated" in said
    if suffix == "tif":
        found = tifffile.imread(out)
    else:
        with h5py.File(out) as file:
            found = next(iter(file.values()))[:]
    assert (found == expected(stack, filled=True)).all()


def test_a_file_that_is_missing_is_bridged(folder, stack, tmp_path, capsys):
    (folder / "s05.png").unlink()
    out = tmp_path / "volume.tif"
    status, said, err = run(capsys, folder, "-o", out, "--fill")
    assert status == 0
    assert "slice 5" in err
    assert "2 instances, 3 objects interpolated" in said
    assert (tifffile.imread(out) == expected(stack, filled=True)).all()


def test_settings_reach_the_links(folder, tmp_path, capsys):
    out = tmp_path / "volume.zarr"
    assert "3 instances" in run(capsys, folder, "-o", out, "--set", "volume.link_reach=1")[1]
    assert "1 instance:" in run(capsys, folder, "-o", out, "--overwrite", "--set", "volume.min_size=1000")[1]
    (tmp_path / "own.yaml").write_text("volume: {link_reach: 1}\n")
    assert "3 instances" in run(capsys, folder, "-o", out, "--overwrite", "--config", tmp_path / "own.yaml")[1]


def test_what_does_not_fit_is_one_line_and_nothing_is_written(folder, stack, tmp_path, capsys):
    def refused(given, *more, out="volume.zarr"):
        status, said, err = run(capsys, given, "-o", tmp_path / out, *more)
        assert status == 2
        assert said == ""
        assert not (tmp_path / "volume.zarr").exists()
        return err.strip().splitlines()[-1]

    tifffile.imwrite(tmp_path / "one.tif", stack[0])
    tifffile.imwrite(tmp_path / "negative.tif", -stack.astype(np.int16), metadata={"axes": "ZYX"})
    tifffile.imwrite(tmp_path / "halves.tif", stack.astype(np.float32) / 2, metadata={"axes": "ZYX"})
    assert "one slice of 40 × 50 pixels; wanted several" in refused(tmp_path / "one.tif")
    assert "negative.tif, slice 0, holds negative ids" in refused(tmp_path / "negative.tif")
    assert "halves.tif" in refused(tmp_path / "halves.tif")
    assert "no such file or folder" in refused(tmp_path / "nowhere")
    assert "are written to .zarr" in refused(folder, out="volume.png")
    assert "--ome-version is '0.6'" in refused(folder, "--ome-version", "0.6")
    assert "link_reach" in refused(folder, "--set", "volume.link_reach=9")
    assert "--set volume.window=512 changes nothing here" in refused(folder, "--set", "volume.window=512")
    assert "here --fill interpolates" in refused(folder, "--set", "volume.fill=interpolate")
    imsave(folder / "s07.png", stack[0, :30], check_contrast=False)
    assert "40 × 50" in refused(folder)
    tifffile.imwrite(tmp_path / "stack.tif", stack, metadata={"axes": "ZYX"})
    assert "its own source" in refused(tmp_path / "stack.tif", out="stack.tif")


def test_an_output_that_exists_stays(folder, tmp_path, capsys):
    out = tmp_path / "volume.tif"
    out.write_bytes(b"mine")
    status, _, err = run(capsys, folder, "-o", out)
    assert status == 2
    assert "exists" in err
    assert out.read_bytes() == b"mine"
    assert run(capsys, folder, "-o", out, "--overwrite")[0] == 0
    assert tifffile.imread(out).max() == 2


def test_no_network_is_imported(folder, tmp_path):
    code = (
        "import json, sys\nfrom autosam.cli import main\ntry:\n    main()\nexcept SystemExit as stop:\n"
        "    status = stop.code or 0\nprint(json.dumps([status, 'torch' in sys.modules]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, "link", str(folder), "-o", str(tmp_path / "v.tif"), "--fill"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ran.stdout.splitlines()[-1]) == [0, False]


def test_help_is_there():
    assert "without a network" in CliRunner().invoke(app, ["link", "--help"]).output
