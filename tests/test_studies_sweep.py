from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from blobs import SMALL, write_discs
from fake_networks import BrightPixels, build_small_sam, use_component_sam
from numpy.typing import NDArray

from autosam.config import Config, load_config
from autosam.data import LabeledImage
from autosam.errors import ConfigError, ModelError
from autosam.evaluation.axes import combinations, parse_axes
from autosam.images import write_png
from autosam.models.networks import Networks
from autosam.pipeline.segmenter import Segmenter
from autosam.studies import sweep as module
from autosam.studies.results import read_results
from autosam.studies.settings import Setup, trained_setups
from autosam.studies.sweep import Sweep, SweepOutcome
from autosam.training import loop

pytestmark = pytest.mark.usefixtures("few_windows")

STEPS = ("training.steps=2", "training.validate_every=2", "training.checkpoint_every=1", "training.previews=0")
CPU = torch.device("cpu")


def setups_of(*settings: str) -> list[Setup]:
    return trained_setups(None, combinations(parse_axes(settings)))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_discs(tmp_path / "data", 2)


@pytest.fixture
def segmenter(monkeypatch: pytest.MonkeyPatch) -> Segmenter:
    use_component_sam(monkeypatch)
    return Segmenter(Networks(build_small_sam(), BrightPixels()), load_config(), name="mine")  # type: ignore[arg-type]


def run(sweep: Sweep) -> list[SweepOutcome]:
    return list(sweep.run(begin=lambda setup: None, say=lambda news: None))


def states(outcomes: Sequence[SweepOutcome]) -> list[str]:
    return ["failed" if one.row is None else "kept" if one.kept else "done" for one in outcomes]


def test_finished_ones_are_not_repeated_and_failed_ones_are(
    data: Path, tmp_path: Path, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    setups, out = setups_of("merge.iou=0.3,0.4,0.6"), tmp_path / "out"
    plain = module.score_labeled_images
    scored: list[float] = []

    def score(one: Segmenter, images: Sequence[LabeledImage]) -> dict[str, float | int | None]:
        scored.append(one.config.merge.iou)
        if one.config.merge.iou == fails:
            raise ModelError("no such weights")
        return plain(one, images)

    monkeypatch.setattr(module, "score_labeled_images", score)
    fails = 0.4
    outcomes = run(Sweep(setups, data, out, segmenter=segmenter, model_sha256="m"))
    assert states(outcomes) == ["done", "failed", "done"]
    assert outcomes[1].message == "no such weights"
    fails = 0
    scored.clear()
    more = [*setups, *setups_of("merge.iou=0.7")]
    outcomes = run(Sweep(more, data, out, segmenter=segmenter, model_sha256="m"))
    assert states(outcomes) == ["kept", "done", "kept", "done"]
    assert scored == [0.4, 0.7]
    rows = read_results(out / "results.csv")
    assert [row["merge.iou"] for row in rows] == ["0.3", "0.4", "0.6", "0.7"]
    assert {(row["ap50"], row["objects"], row["images_scored"]) for row in rows} == {("1.0", "9", "1")}
    assert {(row["model_file"], row["model_sha256"]) for row in rows} == {("mine", "m")}


def test_an_interrupted_sweep_keeps_what_it_has(data: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    setups, out = setups_of("merge.iou=0.3,0.4"), tmp_path / "out"
    sweep = Sweep(setups, data, out, segmenter=segmenter)
    steps = sweep.run(begin=lambda setup: None, say=lambda news: None)
    next(steps)
    steps.close()
    assert states(run(sweep)) == ["kept", "done"]


def test_a_row_takes_the_names_of_the_grid_that_finds_it(data: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    out = tmp_path / "out"
    run(Sweep(setups_of("merge.iou=0.30,0.4"), data, out, segmenter=segmenter))
    again = setups_of("merge.iou=0.3,0.4", "merge.overlap=0.8")
    assert states(run(Sweep(again, data, out, segmenter=segmenter))) == ["kept", "kept"]
    rows = read_results(out / "results.csv")
    assert [row["name"] for row in rows] == ["iou=0.3_overlap=0.8", "iou=0.4_overlap=0.8"]
    assert [(row["merge.iou"], row["merge.overlap"]) for row in rows] == [("0.3", "0.8"), ("0.4", "0.8")]


def test_other_images_are_other_scores(data: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    setups, out = setups_of("merge.iou=0.3"), tmp_path / "out"
    run(Sweep(setups, data, out, segmenter=segmenter))
    with pytest.raises(ConfigError, match=r"has a row iou=0\.3 of other images or labels; choose another folder"):
        run(Sweep(setups, write_discs(tmp_path / "more", 7), out, segmenter=segmenter))


def test_images_are_read_once_for_settings_that_share_them(
    tmp_path: Path, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    plain = module.load_part

    def load_part(*arguments: object) -> list[LabeledImage]:
        read.append(str(arguments[2]))
        return plain(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "load_part", load_part)
    data = write_discs(tmp_path / "data", 2)
    run(Sweep(setups_of("merge.iou=0.3,0.4,0.6"), data, tmp_path / "out", segmenter=segmenter))
    assert read == ["val"]


def test_images_without_labels_are_no_hindrance(data: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    setups = setups_of("data.unlabeled=[images]", "training.augment.spectrum=0.5", "merge.iou=0.3,0.4")
    outcomes = run(Sweep(setups, data, tmp_path / "out", segmenter=segmenter))
    assert states(outcomes) == ["done", "done"]


def test_what_cannot_be_trained_is_refused_before_anything_runs(data: Path, tmp_path: Path) -> None:
    paths = setups_of(*SMALL, *STEPS, "data.unlabeled=[images],[nowhere]", "training.augment.spectrum=0.5")
    with pytest.raises(ConfigError, match=r"^data\.unlabeled: no file or folder .*nowhere"):
        run(Sweep(paths, data, tmp_path / "out", device=CPU))
    with pytest.raises(ConfigError, match=r"no source has so many"):
        run(Sweep(setups_of(*SMALL, *STEPS, "training.threshold_images=0,1"), data, tmp_path / "out", device=CPU))
    frozen = setups_of(*SMALL, *STEPS, "training.freeze_generator=false,true")
    with pytest.raises(ConfigError, match=r"training\.freeze_generator=true trains SAM on the prompts"):
        run(Sweep(frozen, data, tmp_path / "out", device=CPU))
    assert not (tmp_path / "out").exists()


def test_a_row_is_of_the_images_without_labels_and_names_fitted_thresholds(
    data: Path, tmp_path: Path, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that fits thresholds is replaced by a model with such; the images are read once."""
    read: list[tuple[str, ...]] = []
    plain = module.load_unlabeled

    def load_unlabeled(path: Path, config: Config) -> list[NDArray[np.uint8]]:
        read.append(config.data.unlabeled)
        return plain(path, config)

    class Trained:
        @staticmethod
        def from_model(path: Path, **_: object) -> Segmenter:
            return segmenter.with_settings(load_config(overrides=["merge.iou=0.65"]))

    monkeypatch.setattr(module, "load_unlabeled", load_unlabeled)
    monkeypatch.setattr(module, "Segmenter", Trained)
    monkeypatch.setattr(Sweep, "_train", lambda *_: (tmp_path, {}))
    given = (*SMALL, *STEPS, "data.unlabeled=[more]", "training.augment.spectrum=0.5")
    (tmp_path / "data" / "more").mkdir()
    write_png(tmp_path / "data" / "more" / "a.png", np.arange(64, dtype=np.uint8).reshape(8, 8))
    setups = setups_of(*given, "training.accumulate=1,2")
    outcomes = run(Sweep(setups, data, tmp_path / "out", device=CPU))
    assert read == [("more",)]
    before = [one.row for one in outcomes if one.row is not None]
    assert [row["fitted"] for row in before] == ["merge.iou=0.65"] * 2
    assert all(len(row["data_sha256"].split("+")) == 3 for row in before)
    assert states(run(Sweep(setups, data, tmp_path / "out", device=CPU))) == ["kept", "kept"]
    write_png(tmp_path / "data" / "more" / "a.png", np.arange(64, dtype=np.uint8).reshape(8, 8) % 60)
    with pytest.raises(ConfigError, match="of other images or labels"):
        run(Sweep(setups, data, tmp_path / "out", device=CPU))


def test_a_training_is_resumed_and_scored(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, setups = tmp_path / "out", setups_of(*SMALL, *STEPS)
    sweep = Sweep(setups, data, out, device=CPU)

    def interrupted(*_: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "validate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(sweep)
    said: list[str] = []
    (outcome,) = sweep.run(begin=lambda setup: None, say=said.append)
    assert said[0].startswith("training, step 1 of 2"), "it began anew"
    assert said[-1] == "segmenting 1 images"
    assert outcome.row is not None
    assert outcome.row["steps"] == "2"
    assert float(outcome.row["train_seconds"]) > 0
    assert int(outcome.row["trainable_parameters"]) > 1e5
    assert Path(outcome.row["model_file"]).is_file()
    training_images, validation_images = outcome.row["data_sha256"].split("+")
    assert training_images != validation_images

    (out / "results.csv").unlink()
    changed = setups_of(*SMALL, *STEPS, "merge.iou=0.4")
    other = Setup(setups[0].name, setups[0].combination, changed[0].config)
    with pytest.raises(ConfigError, match=r"has other settings for merge\.iou; choose another folder"):
        run(Sweep([other], data, out, device=CPU))


def test_each_training_has_its_own_share_of_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[tuple[int, int]] = []

    def train(config: object, train_images: list[object], val_images: list[object], **_: object) -> object:
        counts.append((len(train_images), len(val_images)))
        raise ModelError("not here")

    monkeypatch.setattr(module, "train", train)
    data = write_discs(tmp_path / "data", 5)
    run(Sweep(setups_of(*SMALL, "data.fraction=1,0.5"), data, tmp_path / "out", device=CPU))
    assert counts == [(4, 1), (2, 1)]


def test_networks_that_cannot_be_built_are_found_before_anything_runs(data: Path, tmp_path: Path) -> None:
    bases = ",".join(f"{tmp_path / name}.pth" for name in ("a", "b"))
    setups = setups_of(*SMALL, *STEPS, f"model.sam.base=null,{bases}", "decode.sam=true,false")
    with pytest.raises(ConfigError) as caught:
        run(Sweep(setups, data, tmp_path / "out", device=CPU))
    said = str(caught.value)
    for name in ("a.pth", "b.pth"):
        assert said.count(f"the base weights {tmp_path / name} are not at") == 1
    assert said.count("decode.sam=false leaves the SAM of model.sam without any use") == 1
    assert not (tmp_path / "out").exists()
