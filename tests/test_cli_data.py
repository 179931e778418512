"""`autosam data import` and `autosam data sources`."""

import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from autosam.cli.data import data
from autosam.data import Store
from autosam.data.sources import SOURCES
from autosam.errors import InputError


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(data, [str(argument) for argument in arguments])
    if isinstance(result.exception, InputError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    labels = np.zeros((3, 32, 40), np.uint16)
    labels[:, 2:12, 3:15] = 7
    labels[1:, 20:30, 20:30] = 300
    tifffile.imwrite(tmp_path / "image.tif", (labels * 0.5).astype(np.float32), photometric="minisblack")
    tifffile.imwrite(tmp_path / "labels.tif", labels, photometric="minisblack")
    return tmp_path


def test_sources_are_listed() -> None:
    lines = run("sources").splitlines()
    assert [line.split()[0] for line in lines] == [source.name for source in SOURCES]
    assert any("--target mitochondria|neurites" in line for line in lines)


def test_import_says_what_it_did(pair: Path) -> None:
    output = run(
        "import",
        pair / "image.tif",
        pair / "labels.tif",
        "-o",
        pair / "out.h5",
        "--voxel-size",
        "30,8,8",
        "--license",
        "CC0",
        "--citation",
        "Us 2026",
    )
    for line in (
        f"{pair / 'out.h5'}: 3 images in 1 volume from files.",
        "instances   as published; ids hold in 3d",
        "voxel size  30 × 8 × 8 nm (z, y, x)",
        "license     CC0",
        "cite        Us 2026",
    ):
        assert line in output
    single = (
        "import",
        pair / "image.tif",
        pair / "labels.tif",
        "-o",
        pair / "f.zarr",
        "--voxel-size",
        "0,250,250",
    )
    assert "voxel size  250 × 250 nm (y, x)" in run(*single)
    assert "voxel size  not known" in run(*single[:3], "-o", pair / "unknown.h5")
    store = Store.open(pair / "out.h5")
    assert np.unique(store.volume("image").labels()).tolist() == [0, 7, 300]
    assert store.image(2).dtype == np.float32


def test_the_default_store(pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pair)
    run("import", "image.tif", "labels.tif")
    assert len(Store.open("files.h5")) == 3
    with pytest.raises(InputError, match=r"files.h5 exists already"):
        run("import", "image.tif", "labels.tif")
    run("import", "image.tif", "labels.tif", "--restart", "--instances", "components-3d", "--min-size", "250")
    assert np.unique(Store.open("files.h5").volume("image").labels()).tolist() == [0, 1]


def test_wrong_options(pair: Path) -> None:
    where = ("import", pair / "image.tif", pair / "labels.tif", "-o", pair / "out.h5")
    for words, options in (
        ("--instances threshold is unknown", ["--instances", "threshold"]),
        ("not three numbers", ["--voxel-size", "8,8"]),
        ("wanted y and x above 0", ["--voxel-size", "30,0,8"]),
        ("unknown source lucchi", ["--source", "lucchi"]),
        ("smallest size needs connected components", ["--min-size", "9"]),
        ("leave --stack out", ["--stack"]),
    ):
        with pytest.raises(InputError, match=words) as error:
            run(*where, *options)
        assert "\n" not in str(error.value)
    assert not (pair / "out.h5").exists()


def test_an_interrupted_import_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import autosam.data.folder_files as files

    for name in "abc":
        for folder in ("images", "labels"):
            (tmp_path / folder).mkdir(exist_ok=True)
            png = imagecodecs.png_encode(np.full((9, 9), ord(name), np.uint8))
            (tmp_path / folder / f"{name}.png").write_bytes(png)
    reads: list[str] = []
    whole = files.read_labels

    def interrupted(path: Path, **settings: int | None) -> np.ndarray:
        reads.append(path.stem)
        if reads == ["a", "b"]:
            raise KeyboardInterrupt
        return whole(path, **settings)

    monkeypatch.setattr(files, "read_labels", interrupted)
    command = ("import", tmp_path, "-o", tmp_path / "s.h5")
    assert CliRunner().invoke(data, [str(part) for part in command]).exit_code == 130
    assert not (tmp_path / "s.h5").exists()
    run(*command)
    assert reads == ["a", "b", "b", "c"]
    assert [item.name for item in Store.open(tmp_path / "s.h5").items] == ["a", "b", "c"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "labels", "s.h5"]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from autosam.cli.data import data; "
        "print([name for name in ('numpy', 'torch', 'h5py', 'zarr') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["s.zarr", "link.zarr", "s.zarr/image/new.zarr"])
def test_a_store_is_not_imported_over_itself(pair: Path, name: str) -> None:
    run("import", pair / "image.tif", pair / "labels.tif", "-o", pair / "s.zarr")
    (pair / "link.zarr").symlink_to(pair / "s.zarr")
    source = pair / "s.zarr" / "image"
    with pytest.raises(InputError, match="would be written over its own source"):
        run("import", source, "-o", pair / name, "--restart")
    assert (source / "zarr.json").is_file()
    assert len(Store.open(pair / "s.zarr")) == 3
