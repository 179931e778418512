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


def test_own_images_are_those_of_the_sources_that_the_model_knows(tmp_path, monkeypatch, capsys):
    write_discs(tmp_path, 3)
    recipe = tmp_path / "recipe.yaml"
    place = "images: images, labels: labels"
    recipe.write_text(f"data: {{sources: [{{name: new, {place}}}, {{name: vnc, {place}}}]}}")
    arguments = [str(tmp_path), str(MITO), "--config", str(recipe), "--fold", f"{MITO}=new"]
    script = load_script("add_region_classifier")
    given = []

    def added(path, folds, **kind):
        given.append(([image.source for fold in folds for image in fold.labeled_images], kind["own"]))
        return [None]

    monkeypatch.setattr(script, "add_cross_fitted_region_classifier", added)
    for options in ([], ["--own"]):
        monkeypatch.setattr(sys, "argv", ["add_region_classifier.py", *arguments, *options])
        script.main()
    (fold, nothing), (same, own) = given
    assert set(fold) == {"new"}
    assert same == fold
    assert nothing == []
    assert [image.source for image in own] == ["vnc"] * len(fold)

    recipe.write_text(f"data: {{sources: [{{name: new, {place}}}]}}")
    with pytest.raises(SystemExit) as refused:
        script.main()
    assert refused.value.code == 2
    assert "was trained on none of the sources of" in capsys.readouterr().err
