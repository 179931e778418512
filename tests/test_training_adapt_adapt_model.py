"""Adapting a model: what is kept, what the file says, and what becomes of the rest of the old model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from blobs import discs, write_discs
from small_models import GENERATOR_ALONE, write_model

from autosam.config import Config
from autosam.data import LabeledImage
from autosam.images import write_json, write_labels, write_png
from autosam.metrics import contingency_table
from autosam.models.files.checkpoint import load_model, read_header, save_model
from autosam.models.files.file_hash import file_sha256
from autosam.models.files.model_file import load_networks
from autosam.training.adapt import adapt_model as module
from autosam.training.adapt.adapt_model import Adapted, adapt_model, announced
from autosam.training.adapt.adapt_task import AdaptOptions, AdaptTask
from autosam.training.adapt.adapted_networks import State
from autosam.training.adapt.few_labels import LabelOptions, share_that_counts
from autosam.training.adapt.validated import Competitor, pooled_score

FAST = ("training.workers=0", "training.precision=float32", "training.prompts_per_tile=4")


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    return write_model(path, *GENERATOR_ALONE, "tiles.size=64", "images.diameter=19")


def adapted(data: Path, model: Path, out: Path, **options: object) -> Adapted:
    chosen = AdaptOptions(overrides=FAST, **options)  # type: ignore[arg-type]
    task = AdaptTask.read(data, str(model), chosen)
    return adapt_model(task, out, chosen, device=torch.device("cpu"), say=lambda *_: None)


def test_generator_and_sam_are_adapted_and_the_file_needs_no_other(tmp_path: Path) -> None:
    model, out = write_model(tmp_path / "old.safetensors", "images.diameter=19"), tmp_path / "new.safetensors"
    data = write_discs(tmp_path / "data", 1, side=64)
    found = adapted(data, model, out, steps=2, train="all")
    assert found.task.choice.part == "all"
    header = read_header(out)
    record = header.training["adapted"]
    assert record == found.record
    assert record["sha256"] == file_sha256(model)
    assert (record["model"], record["planned"], record["steps"]) == ("old.safetensors", "all", 2)
    # Four objects side by side leave no room for a margin.
    assert record["data"]["by"] == "nothing"
    assert (record["data"]["objects"], record["data"]["learnt"], record["data"]["left_out"]) == (4, 4, 0)
    assert record["share"] in (0.0, 0.5)
    assert any("nothing can be left out" in line for line in announced(found.task))
    assert header.base_name == ""
    assert header.license == read_header(model).license
    load_networks(out)


def test_new_weights_that_are_not_better_make_way(
    generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoiled(old: object, new: dict[str, dict[str, torch.Tensor]], share: float) -> object:
        return {
            name: {key: torch.zeros_like(value) for key, value in state.items()} for name, state in new.items()
        }

    monkeypatch.setattr(module, "mixed", spoiled)
    out = tmp_path / "new.safetensors"
    # In float32 and not rounded, as older files are.
    tensors, header = load_model(generator)
    exact = {name: value * 1.0001 if value.is_floating_point() else value for name, value in tensors.items()}
    older = tmp_path / "older.safetensors"
    save_model(older, tensors=exact, metadata=header)
    found = adapted(write_discs(tmp_path / "data", 1), older, out, steps=1)
    assert not found.better
    old, new = load_model(older, as_stored=True)[0], load_model(out, as_stored=True)[0]
    assert old.keys() == new.keys()
    assert all(torch.equal(tensor, new[name]) for name, tensor in old.items())
    assert {tensor.dtype for tensor in old.values()} == {tensor.dtype for tensor in new.values()}
    record = read_header(out).training["adapted"]
    assert (record["planned"], record["trained"], record["steps"]) == ("generator", "thresholds", 1)


def with_reviewed_rows(data: Path, rows: int) -> Path:
    """Write that the first rows of each image were reviewed."""
    (data / "valid").mkdir()
    for path in (data / "labels").iterdir():
        valid = np.zeros(discs(0)[1].shape, np.uint8)
        valid[:rows] = 1
        write_labels(data / "valid" / path.name, valid)
    return data


@pytest.fixture
def mixtures(monkeypatch: pytest.MonkeyPatch) -> list[tuple[State, float]]:
    """Note the new weights that are mixed with old ones, and their shares."""
    noted: list[tuple[State, float]] = []
    mixed = module.mixed

    def noting(old: State, new: State, share: float) -> State:
        noted.append((new, share))
        return mixed(old, new, share)

    monkeypatch.setattr(module, "mixed", noting)
    return noted


@pytest.mark.parametrize(("rows", "wanted", "validates"), [(72, {1.0, 0.5}, True), (40, {0.5}, False)])
def test_where_less_than_half_was_reviewed_nothing_is_chosen_by_what_was_left_out(
    generator: Path,
    tmp_path: Path,
    mixtures: list[tuple[State, float]],
    rows: int,
    wanted: set[float],
    validates: bool,
) -> None:
    data = with_reviewed_rows(write_discs(tmp_path / "data", 4), rows)
    said: list[str] = []
    options = AdaptOptions(overrides=FAST, steps=12)
    task = AdaptTask.read(data, str(generator), options)
    found = adapt_model(
        task,
        tmp_path / "new.safetensors",
        options,
        device=torch.device("cpu"),
        say=lambda step, steps, message: said.append(message),
    )
    assert task.division.how == "images"
    assert task.validates is validates
    assert {share for _, share in mixtures} == wanted
    assert any("mean AP" in message for message in said) is validates
    if not validates:
        assert found.record["best_step"] == 12
        assert found.record["thresholds"] is None


def test_a_teacher_gives_maps_where_labels_are_unknown(
    generator: Path, tmp_path: Path, mixtures: list[tuple[State, float]]
) -> None:
    data = with_reviewed_rows(write_discs(tmp_path / "data", 4), 40)
    said = []
    for name, teacher in (("alone", ()), ("taught", (f"training.teacher={generator}",))):
        options = AdaptOptions(overrides=(*FAST, *teacher), steps=3)
        task = AdaptTask.read(data, str(generator), options)
        out = tmp_path / f"{name}.safetensors"
        adapt_model(task, out, options, device=torch.device("cpu"), say=lambda *_: None)
        said.append(any("small.safetensors where labels are unknown" in line for line in announced(task)))
    alone, taught = (state["generator"] for state, _ in (mixtures[0], mixtures[-1]))
    assert any(not torch.equal(value, taught[key]) for key, value in alone.items())
    assert said == [False, True]


@pytest.mark.parametrize(("missed", "kept"), [((1, 2), True), ((0, 3), False)])
def test_unvalidated_new_weights_are_refused_only_if_they_are_surely_worse(
    generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missed: tuple[int, int], kept: bool
) -> None:
    def scored(networks: object, config: Config, images: list[LabeledImage], metric: str) -> Competitor:
        """Miss some objects at first, and others afterwards."""
        calls.append(networks)
        truth = images[0].labels
        ids = np.unique(truth[truth > 0])
        left = ids[: missed[0]] if len(calls) == 1 else ids[-missed[1] :]
        assert len(ids) == 3
        found = np.where(np.isin(truth, left), 0, truth)
        table = contingency_table(found, truth, valid=images[0].valid)
        return Competitor(config, (table,), pooled_score([table], "mean_ap"))

    calls: list[object] = []
    monkeypatch.setattr(module, "compete", scored)
    monkeypatch.setattr(module, "with_smallest_size", lambda old, own, images, metric: own)
    data = with_reviewed_rows(write_discs(tmp_path / "data", 4), 40)
    found = adapted(data, generator, tmp_path / "new.safetensors", steps=1, train="generator")
    assert not found.task.validates
    assert found.before.score > 0
    assert found.better is kept
    assert len(calls) == 2


def test_the_share_of_pixels_that_count_is_that_of_all_images() -> None:
    image, labels = discs(0)
    valid = np.zeros(labels.shape, bool)
    valid[: len(valid) // 4] = True
    whole = LabeledImage("a/0", "a", image, labels)
    assert share_that_counts([whole]) == 1
    assert share_that_counts([whole, replace(whole, valid=valid)]) == (1 + 1 / 4) / 2


def test_few_objects_adapt_thresholds_alone(generator: Path, tmp_path: Path) -> None:
    data = write_discs(tmp_path / "data", 1)
    _, labels = discs(0)
    write_labels(data / "labels" / "0.png", np.where(labels <= 3, labels, 0))
    found = adapted(data, generator, tmp_path / "new.safetensors")
    assert found.task.choice.part == "thresholds"
    assert any("adapts thresholds alone: " in line for line in announced(found.task))
    assert found.after.score >= found.before.score
    assert found.record["steps"] == 0
    assert load_model(tmp_path / "new.safetensors")[0].keys() == load_model(generator)[0].keys()


def test_corrected_results_have_the_zoom_of_their_run(generator: Path, tmp_path: Path) -> None:
    fixed = tmp_path / "fixed"
    write_discs(fixed / "training", 1)
    image, labels = discs(1)
    write_png(fixed / "training" / "images" / "day__1.png", image)
    write_labels(fixed / "training" / "labels" / "day__1.png", labels)
    (fixed / "training" / "valid").mkdir()
    for name in ("0", "day__1"):
        write_labels(fixed / "training" / "valid" / f"{name}.png", np.ones(labels.shape, np.uint8))
    write_json(
        fixed / "autosam_run.json", {"corrected": {}, "images": {"0": {"zoom": 1.5}, "day/1": {"zoom": 0.5}}}
    )
    task = AdaptTask.read(fixed, str(generator), AdaptOptions())
    assert {one.name: one.zoom for one in task.images} == {"labels/0": 1.5, "labels/day__1": 0.5}
    assert [one.zoom for one in task.division.learnt] == [1.5, 0.5]


def test_images_are_zoomed_by_pixel_size_or_by_the_size_of_the_objects(tmp_path: Path) -> None:
    data = write_discs(tmp_path / "data", 1)
    small, large = (
        write_model(
            tmp_path / f"{diameter}.safetensors",
            *GENERATOR_ALONE,
            "tiles.size=64",
            f"images.diameter={diameter}",
            "images.pixel_size=10",
        )
        for diameter in (18, 60)
    )
    assert [one.zoom for one in AdaptTask.read(data, str(small), AdaptOptions()).division.learnt] == [1.0]
    # Three times larger, of which a zoom is at most two.
    assert [one.zoom for one in AdaptTask.read(data, str(large), AdaptOptions()).division.learnt] == [2.0]
    known = AdaptOptions(labels=LabelOptions(pixel_size=25.0))
    assert [one.zoom for one in AdaptTask.read(data, str(large), known).images] == [2.5]
