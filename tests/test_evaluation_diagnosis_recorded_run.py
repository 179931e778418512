"""From a folder of results back to the model, the settings and the images that made it."""

import json

import numpy as np
import pytest
import tifffile
from diagnosis_runs import draw_image, fake_models, write_images, write_run

from autosam.config import load_config
from autosam.errors import AutosamError, InputError, ModelError
from autosam.evaluation.diagnosis.recorded_run import open_run
from autosam.images import write_png


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Give the folder of a run of one image."""
    fake_models(monkeypatch)
    images, _ = write_images(tmp_path)
    write_run(images, tmp_path / "out", "merge.min_size=20", "images.zoom=2")
    return tmp_path / "out"


def change(folder, **values):
    """Write other values into the record; a dot parts section and key."""
    path = folder / "autosam_run.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    for dotted, value in values.items():
        *sections, key = dotted.split("__")
        inner = record
        for section in sections:
            inner = inner[section]
        inner[key] = value
    path.write_text(json.dumps(record), encoding="utf-8")


def fault(folder, kind: type[AutosamError] = InputError) -> str:
    with pytest.raises(kind) as error:
        open_run(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_model_and_settings_come_back(made):
    run = open_run(made)
    wanted = load_config(overrides=["decode.precision=float32", "merge.min_size=20", "images.zoom=2"])
    assert run.segmenter.config == wanted
    assert run.model.endswith("model.safetensors")
    source, zoom = run.source_of(str(made / "a_labels.tif"))
    assert source.path == (made.parent / "images" / "a.png").resolve()
    assert zoom == 1.0


def test_a_zoomed_image_is_zoomed_again(made):
    change(made, images__a__zoom=1.7)
    assert open_run(made).source_of(str(made / "a_labels.tif"))[1] == 1.7


def test_a_record_of_an_older_version_has_no_zoom(made):
    path = made / "autosam_run.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["images"]["a"] = {"input": record["images"]["a"]["input"]}
    path.write_text(json.dumps(record), encoding="utf-8")
    assert open_run(made).source_of(str(made / "a_labels.tif"))[1] == 1.0


def test_pages_and_names_with_brackets(tmp_path, monkeypatch):
    fake_models(monkeypatch)
    image = draw_image()[0]
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "stack.tif", np.stack([image[..., 0]] * 3), photometric="minisblack")
    write_png(tmp_path / "in" / "b [2].png", image)
    write_run(tmp_path / "in", tmp_path / "out")
    run = open_run(tmp_path / "out")
    assert run.source_of("stack_p1_labels.tif")[0].page == 1
    assert run.source_of("b [2]_labels.tif")[0].path.name == "b [2].png"


def test_a_folder_without_a_record(tmp_path):
    assert "holds no autosam_run.json" in fault(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": "m", "model_sha256": "0", "options": {}}'])
def test_a_damaged_record(made, content):
    (made / "autosam_run.json").write_text(content, encoding="utf-8")
    assert "is damaged" in fault(made)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"options__prompts_sha256": "ab"}, "used user prompts"),
        ({"settings__prompts__method": "user"}, "used user prompts"),
        ({"options__oracle_mask_sha256": "ab"}, "used the truth to choose masks"),
        ({"options__channels": "all"}, "used several channels of one image"),
    ],
)
def test_runs_with_help_from_outside(made, values, words):
    change(made, **values)
    assert words in fault(made)


def test_another_model_file(made):
    (made.parent / "model.safetensors").write_bytes(b"trained on")
    assert "is not the one that made" in fault(made, ModelError)


def test_a_model_that_is_gone(made):
    (made.parent / "model.safetensors").unlink()
    assert "that made" in fault(made, ModelError)
    assert "is gone" in fault(made, ModelError)


def test_images_that_are_gone_or_unknown(made):
    run = open_run(made)
    with pytest.raises(InputError, match="does not say which image the last run made"):
        run.source_of("b_labels.tif")
    (made.parent / "images" / "a.png").unlink()
    with pytest.raises(InputError, match="is gone"):
        run.source_of("a_labels.tif")


def test_an_image_that_failed_has_no_result(made):
    change(made, images__a__error="unreadable")
    with pytest.raises(InputError, match="does not say which image the last run made"):
        open_run(made).source_of("a_labels.tif")


def test_results_of_an_earlier_run_of_other_settings_cannot_be_repeated(made):
    change(made, images__a__run=7)
    with pytest.raises(InputError, match="does not say which image the last run made"):
        open_run(made).source_of("a_labels.tif")


def test_images_of_several_files(made):
    change(made, images__a__input="/in/a_dapi.tif + /in/a_gfp.tif")
    with pytest.raises(InputError, match="several channels"):
        open_run(made).source_of("a_labels.tif")
