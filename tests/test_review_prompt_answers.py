"""SAM's answers to the prompts of corrections."""

import numpy as np
import pytest
from blobs import small_config
from fake_networks import use_component_sam
from results_folders import discs, image_of
from small_models import GENERATOR_ALONE, disturb, write_model

from autosam.config import Config
from autosam.errors import ConfigError, InputError, ModelError
from autosam.evaluation.results_page.folder_record import RunFacts
from autosam.models.files.file_hash import file_sha256
from autosam.models.networks import build_networks
from autosam.pipeline.segmenter import Segmenter
from autosam.prompts import Prompt
from autosam.review.corrections import Correction
from autosam.review.prompt_answers import PromptAnswers, open_segmenter, prompt_of

LABELS = discs([(20, 20, 8), (20, 60, 8), (60, 90, 9)])


def point(row, col, label=1):
    return Prompt(np.array([[row, col]], np.float64), np.array([label]))


def run_of(path, **settings):
    known = small_config().model_dump(mode="json", exclude={"training", "data"}) | settings
    return RunFacts("1", "0.5.0", str(path), file_sha256(path), "", known, {})


def asking():
    overrides = ("prompts.method=user", "merge.min_size=1")
    config = small_config(*overrides)
    networks = build_networks(config.model)
    disturb(networks)
    return Segmenter(networks, config)


def test_each_prompt_has_its_own_answer(monkeypatch):
    use_component_sam(monkeypatch)
    answers = PromptAnswers(asking(), image_of(LABELS))
    assert answers.answer([]) == []
    first, nothing, again = answers.answer([point(20, 20), point(80, 10), point(22, 22)])
    assert nothing is None
    # Two prompts of one object both have it.
    for crop in (first, again):
        assert np.array_equal(crop.mask, LABELS[crop.window] == 1)
        assert (crop.row, crop.col) == (12, 12)
    assert (first.prompt, again.prompt) == (0, 2)


def test_a_window_is_encoded_once_and_answers_stay_the_same(monkeypatch):
    from autosam.models.sam import masks

    encoded = []
    encode = masks.encode
    monkeypatch.setattr(masks, "encode", lambda sam, image: encoded.append(1) or encode(sam, image))
    segmenter, image = asking(), image_of(LABELS)
    answers = PromptAnswers(segmenter, image)
    one = answers.answer([point(20, 20)])
    number = len(encoded)
    assert number >= 1
    two = answers.answer([point(20, 20)])
    assert len(encoded) == number
    fresh = PromptAnswers(segmenter, image).answer([point(20, 20)])
    assert len(encoded) == 2 * number
    for other in (two, fresh):
        assert (one[0] is None) == (other[0] is None)
        if one[0] is not None:
            assert np.array_equal(one[0].mask, other[0].mask)
            assert one[0].score == other[0].score


def test_points_beside_an_object_go_with_its_box():
    beside = Correction("a", "redraw", (2,), ((20.0, 75.0),), (0,))
    assert prompt_of(beside, LABELS).box.tolist() == [12, 52, 28, 68]
    on = Correction("a", "redraw", (2,), ((20.0, 60.0),), (1,))
    assert prompt_of(on, LABELS).box is None
    with pytest.raises(InputError, match="a has no object 9"):
        prompt_of(Correction("a", "redraw", (9,), ((20.0, 75.0),), (0,)), LABELS)


def test_the_model_of_the_run_has_its_settings(tmp_path):
    path = write_model(tmp_path / "m.safetensors")
    run = run_of(path, merge={"min_score": 0.55, "min_size": 70, "max_size": 900})
    asked = open_segmenter(run).config
    assert (asked.merge.min_score, asked.merge.min_size, asked.merge.max_size) == (0.55, 1, None)
    assert asked.prompts.method == "user"
    again: Config = open_segmenter(run, prompted=False).config
    assert (again.merge.min_size, again.prompts.method) == (70, Config().prompts.method)
    other = write_model(tmp_path / "other.safetensors", "merge.min_score=0.2")
    assert open_segmenter(run, model=str(other)).config.merge.min_score == 0.2
    path.write_bytes(other.read_bytes())
    with pytest.raises(ModelError, match="is not the one that made the results; put the file"):
        open_segmenter(run)
    path.unlink()
    with pytest.raises(ModelError, match="is gone"):
        open_segmenter(run)


def test_a_model_without_sam_cannot_answer(tmp_path):
    path = write_model(tmp_path / "m.safetensors", *GENERATOR_ALONE)
    settings = small_config(*GENERATOR_ALONE).model_dump(mode="json", exclude={"training", "data"})
    run = RunFacts("1", "0.5.0", str(path), file_sha256(path), "", settings, {})
    with pytest.raises(ConfigError, match="has no SAM that could answer points and boxes"):
        open_segmenter(run)
    assert open_segmenter(run, prompted=False).config.decode.sam is False
