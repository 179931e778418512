"""Score every combination of a grid, with one model or with a model trained for each."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal, Protocol

import torch

from autosam.config import Config, DataConfig, ImagesConfig, ModelConfig, different_settings, load_config
from autosam.data import LabeledImage
from autosam.errors import AutosamError, ConfigError, ModelError
from autosam.models.networks import build_networks
from autosam.pipeline.segmenter import Segmenter
from autosam.studies.finished import Result, Results, Training
from autosam.studies.scores import StudyScores, digest_of, row_of, score_labeled_images
from autosam.studies.settings import Setup, as_normalized
from autosam.training.loop import Progress, train
from autosam.training.run.run_folder import CHANGEABLE, CHECKPOINT, SETTINGS, TRAIN_LOG
from autosam.training.samples.batches import check_networks_used
from autosam.training.samples.load_images import load_part

RUNS = "runs"
SplitPart = Literal["train", "val"]


@dataclass(frozen=True)
class SweepOutcome:
    """What became of one combination.

    Attributes
    ----------
    setup : Setup
    state : {"done", "kept", "failed"}
        ``kept`` is a result of an earlier sweep.
    result : Result or None
        None where it failed.
    message : str
        Why it failed.
    """

    setup: Setup
    state: Literal["done", "kept", "failed"]
    result: Result | None = None
    message: str = ""


class LabeledData:
    """The labeled images of a folder or store, as each combination wants them.

    Parameters
    ----------
    path : Path
        As `autosam.training.samples.load_images.load_part` takes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Most combinations differ in other settings, and share their images.
        self._labeled_images = lru_cache(maxsize=2)(self._load)
        self._digest = lru_cache(maxsize=None)(self._hash)

    def labeled_images(self, config: Config, part: SplitPart) -> list[LabeledImage]:
        """Give the labeled images of a part; errors of `load_part`."""
        return self._labeled_images(config.data, config.images, part)

    def digest(self, config: Config, part: SplitPart) -> str:
        """Give the hash of a part's images and labels."""
        return self._digest(config.data, config.images, part)

    def _load(self, data: DataConfig, images: ImagesConfig, part: SplitPart) -> list[LabeledImage]:
        return load_part(self.path, Config(data=data, images=images), part)

    def _hash(self, data: DataConfig, images: ImagesConfig, part: SplitPart) -> str:
        return digest_of(self._labeled_images(data, images, part))


class Study(Protocol):
    """How a combination gets its scores."""

    model_sha256: str

    def check(self, setup: Setup) -> None:
        """Raise an AutosamError if the combination cannot run."""

    def data_sha256(self, setup: Setup) -> str:
        """Give the hash of all images and labels that the scores depend on."""

    def run(self, setup: Setup, say: Callable[[str], None]) -> Result:
        """Score a combination; `say` is told how far it is."""


class ModelStudy:
    """One model, scored with different settings.

    Parameters
    ----------
    segmenter : Segmenter
        The model.
    model_sha256 : str
        Hash of its file.
    data : LabeledData
    """

    def __init__(self, segmenter: Segmenter, model_sha256: str, data: LabeledData) -> None:
        self.model_sha256 = model_sha256
        self._segmenter = segmenter
        self._data = data

    def check(self, setup: Setup) -> None:
        """Refuse settings that the networks do not go with."""
        self._with(setup)

    def data_sha256(self, setup: Setup) -> str:
        """Hash the validation images."""
        return self._data.digest(setup.config, "val")

    def run(self, setup: Setup, say: Callable[[str], None]) -> Result:
        """Score the model with the combination."""
        labeled_images = self._data.labeled_images(setup.config, "val")
        say(f"segmenting {len(labeled_images)} images")
        scored = score_labeled_images(self._with(setup), labeled_images)
        return _result(setup, scored, self._segmenter.name, self.model_sha256, self.data_sha256(setup), None)

    def _with(self, setup: Setup) -> Segmenter:
        return Segmenter(self._segmenter.networks, as_normalized(setup.config))


class TrainingStudy:
    """A model trained for each combination, in a run folder of its own.

    Parameters
    ----------
    out : Path
        Folder of the sweep.
    data : LabeledData
    device : torch.device
    """

    model_sha256 = ""

    def __init__(self, out: Path, data: LabeledData, device: torch.device) -> None:
        self._runs = out / RUNS
        self._data = data
        self._device = device
        # Most combinations differ in other settings.
        self._build = lru_cache(maxsize=None)(_build)

    def check(self, setup: Setup) -> None:
        """Refuse networks that cannot be built or are not used, and a run folder with a run of other settings."""
        check_networks_used(setup.config)
        self._build(setup.config.model)
        settings = self._runs / setup.name / SETTINGS
        if not settings.is_file():
            return
        before = load_config(settings).model_dump(mode="json")
        changed = set(different_settings(before, setup.config.model_dump(mode="json"))) - set(CHANGEABLE)
        if changed:
            raise ConfigError(
                f"the run in {settings.parent} has other settings for {', '.join(sorted(changed))}; choose "
                "another folder with -o, or move that run away"
            )

    def data_sha256(self, setup: Setup) -> str:
        """Hash training and validation images."""
        return f"{self._data.digest(setup.config, 'train')}+{self._data.digest(setup.config, 'val')}"

    def run(self, setup: Setup, say: Callable[[str], None]) -> Result:
        """Train, or go on training, and score the model."""
        folder = self._runs / setup.name
        train_images = self._data.labeled_images(setup.config, "train")
        val_images = self._data.labeled_images(setup.config, "val")

        def report(progress: Progress) -> None:
            say(f"training, step {progress.step} of {progress.steps}, loss {progress.loss:.3f}")

        path = train(
            setup.config,
            train_images,
            val_images,
            out=folder,
            resume=(folder / CHECKPOINT).is_file(),
            device=self._device,
            report=report,
        )
        say(f"segmenting {len(val_images)} images")
        segmenter = Segmenter.from_model(
            path, overrides=("images.low=0", "images.high=100"), device=str(self._device)
        )
        scored = score_labeled_images(segmenter, val_images)
        training = _training(folder / TRAIN_LOG, setup.config)
        return _result(setup, scored, str(path), self.model_sha256, self.data_sha256(setup), training)


def sweep(
    setups: Sequence[Setup],
    study: Study,
    results: Results,
    *,
    begin: Callable[[Setup], None],
    say: Callable[[str], None],
) -> Iterator[SweepOutcome]:
    """Score the combinations that are not finished, one after the other.

    Parameters
    ----------
    setups : sequence of Setup
    study : ModelStudy or TrainingStudy
    results : Results
        Where finished ones are found, and new ones written to.
    begin, say : callable
        Called when a combination that is not finished begins, and with how far it is.

    Yields
    ------
    SweepOutcome
        For each combination, in order.

    Raises
    ------
    ConfigError
        Before anything runs: if combinations cannot, with every fault in one line.
    """
    kept: dict[str, Result] = {}
    faults = []
    for setup in setups:
        try:
            found = results.find(
                setup, model_sha256=study.model_sha256, data_sha256=partial(study.data_sha256, setup)
            )
            if found is not None:
                kept[setup.name] = found
            else:
                study.check(setup)
        except (ConfigError, ModelError) as error:
            faults.append(str(error))
    if faults:
        raise ConfigError("; ".join(dict.fromkeys(faults)))
    results.prepare()
    for setup in setups:
        if setup.name in kept:
            yield SweepOutcome(setup, "kept", kept[setup.name])
            continue
        begin(setup)
        try:
            result = study.run(setup, say)
        except AutosamError as error:
            yield SweepOutcome(setup, "failed", message=str(error))
            continue
        results.add(setup, result)
        yield SweepOutcome(setup, "done", result)


def _build(model: ModelConfig) -> None:
    """Let what is wrong with a base or an architecture come to light; the networks themselves are not kept."""
    build_networks(model)


def _training(log: Path, config: Config) -> Training:
    with log.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    parts = build_networks(config.model, seed=config.seed).parts
    trainable = [parameter.numel() for part in parts for parameter in part.parameters() if parameter.requires_grad]
    return Training(
        steps=int(rows[-1]["step"]),
        seconds=round(sum(float(row["seconds"]) for row in rows), 1),
        trainable_parameters=sum(trainable),
    )


def _result(
    setup: Setup, scored: StudyScores, model: str, model_sha256: str, data_sha256: str, training: Training | None
) -> Result:
    return Result(
        config=setup.config,
        model=model,
        model_sha256=model_sha256,
        data_sha256=data_sha256,
        images=scored.images,
        scores=row_of(scored.pooled),
        by_source={source: row_of(scores) for source, scores in scored.by_source.items()},
        seconds_per_image=round(scored.seconds, 3),
        training=training,
    )
