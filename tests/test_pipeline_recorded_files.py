"""Exports in the run record."""

import json
from pathlib import Path

import pytest

from autosam.images.folder_listing import RUN_RECORD
from autosam.pipeline import recorded_files
from autosam.pipeline.claims import LOCK
from autosam.pipeline.own_files import describe
from autosam.pipeline.recorded_files import is_own, note_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / RUN_RECORD).write_text(json.dumps({"images": {"a": {}}}), encoding="utf-8")
    (tmp_path / "out" / "a_rois.zip").write_bytes(b"rois")
    (tmp_path / "b_rois.zip").write_bytes(b"elsewhere")
    return tmp_path / "out"


def test_files_in_the_folder_are_noted_and_own_until_they_change(folder: Path) -> None:
    file, outside = folder / "a_rois.zip", folder.parent / "b_rois.zip"
    note_files(folder, {"a": [file, outside], "unknown": [file]})
    images = json.loads((folder / RUN_RECORD).read_text(encoding="utf-8"))["images"]
    assert images == {"a": {"files": {"a_rois.zip": describe(file)}}}
    assert is_own(file, folder, images["a"]["files"])
    assert not is_own(outside, folder, images["a"]["files"])
    assert not is_own(file, None, images["a"]["files"])
    file.write_bytes(b"changed")
    assert not is_own(file, folder, images["a"]["files"])


def test_nobody_waits_while_files_are_hashed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = []
    monkeypatch.setattr(
        recorded_files, "describe", lambda path: locked.append((folder / LOCK).exists()) or describe(path)
    )
    note_files(folder, {"a": [folder / "a_rois.zip"]})
    assert locked == [False]
