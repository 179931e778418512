"""Which folds the script that adds a region classifier refuses."""

import sys

import pytest
from blobs import write_discs
from script_modules import load_script

from autosam.models.files.model_header import read_header, trained_sources
from autosam.models.files.zoo import BUNDLED

MITO = BUNDLED["mito"].path


def test_the_header_names_what_a_model_was_trained_on():
    assert trained_sources(read_header(MITO).training) == {"epfl", "vnc", "cardona", "hela"}
    parts = {"generator": {"sources": ["a"]}, "sam": {"sources": ["b"], "steps": 3}}
    assert trained_sources(parts) == {"a", "b"}
    assert trained_sources({}) == set()


def test_a_fold_whose_model_knows_its_source_is_refused(tmp_path, monkeypatch, capsys):
    write_discs(tmp_path, 3)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("data: {sources: [{name: vnc, images: images, labels: labels}]}")
    arguments = [str(tmp_path), str(MITO), "--config", str(recipe), "--fold", f"{MITO}=vnc"]
    monkeypatch.setattr(sys, "argv", ["add_region_classifier.py", *arguments])
    before = MITO.read_bytes()
    with pytest.raises(SystemExit) as refused:
        load_script("add_region_classifier").main()
    assert refused.value.code == 2
    assert "was trained on vnc; give one that lacks them" in capsys.readouterr().err
    assert MITO.read_bytes() == before


def test_own_candidates_without_a_fold_are_refused(tmp_path, monkeypatch, capsys):
    arguments = [str(tmp_path), str(MITO), "--config", "generator", "--own"]
    monkeypatch.setattr(sys, "argv", ["add_region_classifier.py", *arguments])
    with pytest.raises(SystemExit) as refused:
        load_script("add_region_classifier").main()
    assert refused.value.code == 2
    assert "--own goes with --fold" in capsys.readouterr().err
