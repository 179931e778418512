"""A result is not written over what it is made from, whatever the two are called."""

import os
from pathlib import Path

import pytest

from autosam.errors import InputError
from autosam.images.overwriting import refuse_among_slices, refuse_overwriting


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.h5"
    path.write_text("pixels")
    return path


def test_other_places_are_fine(source: Path, tmp_path: Path) -> None:
    refuse_overwriting(tmp_path / "b.h5", [source, f"{source}:/raw", "mito", tmp_path / "gone.h5"])
    # A store may lie in the folder that its images are in.
    refuse_overwriting(tmp_path / "s.h5", [tmp_path])


@pytest.mark.parametrize("way", ["same", "dots", "link", "hard link", "dataset"])
def test_the_source_itself(source: Path, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    output = {"same": source, "dataset": source, "dots": Path("./x/../a.h5")}.get(way, tmp_path / "b.h5")
    (tmp_path / "x").mkdir()
    if way == "link":
        output.symlink_to(source)
    elif way == "hard link":
        os.link(source, output)
    with pytest.raises(InputError, match=r"would be written over its own source .*a\.h5"):
        refuse_overwriting(output, [f"{source}:/raw" if way == "dataset" else source])


def test_around_and_inside(tmp_path: Path) -> None:
    inner = tmp_path / "root.zarr" / "image.zarr"
    inner.mkdir(parents=True)
    for output in (tmp_path / "root.zarr", inner / "s.zarr"):
        with pytest.raises(InputError, match="over its own source"):
            refuse_overwriting(output, [inner])


def test_a_volume_does_not_lie_among_its_slices(tmp_path: Path) -> None:
    folder = tmp_path / "slices"
    folder.mkdir()
    with pytest.raises(InputError, match=r"would lie among the slices of .*slices.*another folder"):
        refuse_among_slices(folder / "mito.zarr", str(folder))
    refuse_among_slices(folder / "results" / "mito.zarr", str(folder))
    refuse_among_slices(tmp_path / "mito.zarr", str(folder))
    refuse_among_slices(folder / "mito.zarr", str(folder / "stack.tif"))
