from pathlib import Path

import pytest
import torch
from blobs import SMALL, write_discs

from autosam.errors import ConfigError, ModelError
from autosam.studies.axes import combinations, parse_axes
from autosam.studies.finished import Result, Results
from autosam.studies.scores import COLUMNS
from autosam.studies.settings import Setup, trained_setups
from autosam.studies.sweep import LabeledData, Study, SweepOutcome, TrainingStudy, sweep
from autosam.training import loop

STEPS = ("training.steps=2", "training.validate_every=2", "training.checkpoint_every=1", "training.previews=0")


def setups_of(*settings: str) -> list[Setup]:
    return trained_setups(None, combinations(parse_axes(settings)))


class Listed:
    """A study whose scores are given; remembers what it was asked."""

    model_sha256 = "m"

    def __init__(self, *, fails: str = "", refused: str = "") -> None:
        self.fails, self.refused = fails, refused
        self.ran: list[str] = []

    def check(self, setup: Setup) -> None:
        if setup.name == self.refused:
            raise ConfigError(f"{setup.name} cannot be")

    def data_sha256(self, setup: Setup) -> str:
        return "d"

    def run(self, setup: Setup, say: object) -> Result:
        self.ran.append(setup.name)
        if setup.name == self.fails:
            raise ModelError("no such weights")
        scores = dict.fromkeys(COLUMNS, 0.5)
        return Result(setup.config, "mito", "m", "d", 1, scores, {"a": scores}, 1.0)


def run(setups: list[Setup], study: Study, out: Path) -> list[SweepOutcome]:
    return list(sweep(setups, study, Results(out), begin=lambda setup: None, say=lambda news: None))


def test_finished_ones_are_not_repeated_and_failed_ones_are(tmp_path: Path) -> None:
    setups = setups_of("merge.iou=0.3,0.4,0.6")
    study = Listed(fails="iou=0.4")
    assert [outcome.state for outcome in run(setups, study, tmp_path)] == ["done", "failed", "done"]
    again = Listed()
    outcomes = run([*setups, *setups_of("merge.iou=0.7")], again, tmp_path)
    assert [outcome.state for outcome in outcomes] == ["kept", "done", "kept", "done"]
    assert again.ran == ["iou=0.4", "iou=0.7"]
    assert outcomes[0].result is not None
    assert outcomes[0].result.config == setups[0].config


def test_an_interrupted_sweep_keeps_what_it_has(tmp_path: Path) -> None:
    setups = setups_of("merge.iou=0.3,0.4")
    steps = sweep(setups, Listed(), Results(tmp_path), begin=lambda setup: None, say=lambda news: None)
    next(steps)
    steps.close()
    study = Listed()
    assert [outcome.state for outcome in run(setups, study, tmp_path)] == ["kept", "done"]


def test_faults_come_before_anything_runs(tmp_path: Path) -> None:
    setups = setups_of("merge.iou=0.3,0.4")
    study = Listed(refused="iou=0.4")
    with pytest.raises(ConfigError, match=r"^iou=0\.4 cannot be$"):
        run(setups, study, tmp_path / "out")
    assert not study.ran
    assert not (tmp_path / "out").exists()


def test_the_labeled_data_of_each_part(tmp_path: Path) -> None:
    data = LabeledData(write_discs(tmp_path / "data", 5))
    one, half = (setup.config for setup in setups_of("data.fraction=1,0.5"))
    assert (len(data.labeled_images(one, "train")), len(data.labeled_images(half, "train"))) == (4, 2)
    assert data.digest(one, "train") != data.digest(half, "train")
    assert data.digest(one, "val") == data.digest(half, "val")
    assert data.labeled_images(one, "val") is data.labeled_images(one, "val"), "images are read again"


def test_a_training_is_resumed_and_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = LabeledData(write_discs(tmp_path / "data", 2))
    setups = setups_of(*SMALL, *STEPS)
    study = TrainingStudy(tmp_path / "out", data, torch.device("cpu"))

    def interrupted(*_: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "validate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(setups, study, tmp_path / "out")
    said: list[str] = []
    (outcome,) = sweep(setups, study, Results(tmp_path / "out"), begin=lambda setup: None, say=said.append)
    assert outcome.state == "done"
    assert said[0].startswith("training, step 1 of 2"), "it began anew"
    assert said[-1] == "segmenting 1 images"
    assert outcome.result is not None
    training = outcome.result.training
    assert training is not None
    assert training.steps == 2
    assert training.seconds > 0
    assert training.trainable_parameters > 1e5
    assert Path(outcome.result.model).is_file()

    changed = setups_of(*SMALL, *STEPS, "merge.iou=0.4")
    other = Setup(setups[0].name, setups[0].combination, changed[0].config)
    with pytest.raises(ConfigError, match=r"has other settings for merge\.iou; choose another folder"):
        study.check(other)


def test_networks_that_cannot_be_built_are_found_before_anything_runs(tmp_path: Path) -> None:
    data = LabeledData(write_discs(tmp_path / "data", 2))
    study = TrainingStudy(tmp_path / "out", data, torch.device("cpu"))
    bases = ",".join(f"{tmp_path / name}.pth" for name in ("a", "b"))
    setups = setups_of(*SMALL, *STEPS, f"model.sam.base=null,{bases}", "decode.sam=true,false")
    with pytest.raises(ConfigError) as caught:
        run(setups, study, tmp_path / "out")
    said = str(caught.value)
    for name in ("a.pth", "b.pth"):
        assert said.count(f"the base weights {tmp_path / name} are not at") == 1
    assert said.count("decode.sam=false leaves the SAM of model.sam without any use") == 1
    assert not (tmp_path / "out").exists()
