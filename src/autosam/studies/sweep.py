"""Score every combination of a grid, with one model or with a model trained for each."""

import csv
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from autosam.config import Config, DataConfig, ModelConfig
from autosam.data import LabeledImage
from autosam.data.folders import SplitPart
from autosam.errors import AutosamError, ConfigError, InputError, ModelError
from autosam.images import ensure_folder
from autosam.models.networks import build_networks
from autosam.pipeline.segmenter import Segmenter
from autosam.studies.results import TABLE, Row, find_row, read_results, write_results
from autosam.studies.scores import digest_of, digest_of_arrays, score_labeled_images
from autosam.studies.settings import Setup
from autosam.training.fit.fit_thresholds import changed_thresholds, hold_out
from autosam.training.loop import Progress, train
from autosam.training.run.run_folder import CHECKPOINT, SETTINGS, TRAIN_LOG, check_same_settings
from autosam.training.samples.batches import check_trainable
from autosam.training.samples.load_images import load_part, load_unlabeled

RUNS = "runs"


class SweepOutcome(NamedTuple):
    """A combination with its row of the table, or, where it failed, why; ``kept`` is a row of an earlier sweep."""

    setup: Setup
    row: Row | None
    kept: bool = False
    message: str = ""


class Sweep:
    """A grid of settings, scored on the validation images of labeled data.

    Parameters
    ----------
    setups : sequence of Setup
        The combinations; at least one.
    data : Path
        Labeled images, as `load_part` takes them.
    out : Path
        Folder for the table and the training runs; it need not exist.
    segmenter : Segmenter, optional
        The model that is scored with each combination. Without it a model is trained for each.
    model_sha256 : str
        Hash of its file.
    device : torch.device, optional
        Where models are trained; wanted without a segmenter.
    """

    def __init__(
        self,
        setups: Sequence[Setup],
        data: Path,
        out: Path,
        *,
        segmenter: Segmenter | None = None,
        model_sha256: str = "",
        device: torch.device | None = None,
    ) -> None:
        self.setups, self._data, self._out = setups, data, out
        self._segmenter, self._model_sha256, self._device = segmenter, model_sha256, device
        # Most combinations differ in other settings, and share their images.
        self._load = lru_cache(maxsize=2)(partial(load_part, data))
        self._digest = lru_cache(maxsize=None)(lambda config, part: digest_of(self._load(config, part)))
        self._load_unlabeled = lru_cache(maxsize=1)(partial(load_unlabeled, data))

    def run(self, *, begin: Callable[[Setup], None], say: Callable[[str], None]) -> Iterator[SweepOutcome]:
        """Score the combinations that are not finished, one after the other.

        Parameters
        ----------
        begin, say : callable
            Called when a combination that is not finished begins, and with how far it is.

        Yields
        ------
        SweepOutcome
            For each combination, in order, when it stands in the table.

        Raises
        ------
        AutosamError
            Before anything runs: if images cannot be read, or combinations cannot be used, with every fault of
            all combinations in one line.
        """
        finished = self._find_finished()
        ensure_folder(self._out)
        rows: list[Row] = []
        for setup in self.setups:
            row = finished.get(setup.name)
            if row is None:
                begin(setup)
                try:
                    row = self._score(setup, say)
                except AutosamError as error:
                    yield SweepOutcome(setup, None, message=str(error))
                    continue
            given = {"name": setup.name, **setup.combination}
            rows.append(given | row | given)
            # At once, so that an interrupted sweep leaves a table, too.
            write_results(self._out / TABLE, rows)
            yield SweepOutcome(setup, rows[-1], kept=setup.name in finished)

    def _find_finished(self) -> dict[str, Row]:
        """Return the rows of an earlier sweep by the names of their combinations; check the others."""
        for part in self._parts:
            self._images(self.setups[0], part)
        path = self._out / TABLE
        known, digest = read_results(path), self._data_sha256
        finished: dict[str, Row] = {}
        built: set[ModelConfig] = set()
        faults = []
        for setup in self.setups:
            try:
                row = find_row(
                    known, setup, path=path, model_sha256=self._model_sha256, data_sha256=partial(digest, setup)
                )
                if row is not None:
                    finished[setup.name] = row
                elif self._segmenter is not None:
                    self._segmenter.with_settings(setup.config)
                else:
                    self._check_training(setup, built)
            except (ConfigError, ModelError, InputError) as error:
                faults.append(str(error))
        if faults:
            raise ConfigError("; ".join(dict.fromkeys(faults)))
        return finished

    def _check_training(self, setup: Setup, built: set[ModelConfig]) -> None:
        """Refuse what cannot be trained with, and a run folder with a run of other settings."""
        images = self._images(setup, "train")
        check_trainable(setup.config, hold_out(images, setup.config.training.threshold_images)[0])
        self._unlabeled(setup)
        if setup.config.model not in built:
            # What is wrong with base weights or an architecture comes to light; the networks are not kept.
            build_networks(setup.config.model)
            built.add(setup.config.model)
        settings = self._out / RUNS / setup.name / SETTINGS
        if settings.is_file():
            check_same_settings(settings, setup.config)

    def _score(self, setup: Setup, say: Callable[[str], None]) -> Row:
        images = self._images(setup, "val")
        training: dict[str, float] = {}
        if self._segmenter is None:
            path, training = self._train(setup, say)
            segmenter = Segmenter.from_model(path, device=str(self._device))
        else:
            segmenter = self._segmenter.with_settings(setup.config)
        say(f"segmenting {len(images)} images")
        row = score_labeled_images(segmenter, images) | training
        return {key: "" if value is None else str(value) for key, value in row.items()} | {
            "model_file": segmenter.name,
            "model_sha256": self._model_sha256,
            "data_sha256": self._data_sha256(setup),
            "settings": setup.config.model_dump_json(),
            "fitted": changed_thresholds(setup.config, segmenter.config),
        }

    def _train(self, setup: Setup, say: Callable[[str], None]) -> tuple[Path, dict[str, float]]:
        """Train, or go on training; return the model's file and what the training took."""
        folder = self._out / RUNS / setup.name

        def report(progress: Progress) -> None:
            say(f"training, step {progress.step} of {progress.steps}, loss {progress.loss:.3f}")

        path = train(
            setup.config,
            self._images(setup, "train"),
            self._images(setup, "val"),
            out=folder,
            unlabeled=self._unlabeled(setup),
            resume=(folder / CHECKPOINT).is_file(),
            device=self._device,
            report=report,
        )
        with (folder / TRAIN_LOG).open(newline="", encoding="utf-8") as file:
            log = list(csv.DictReader(file))
        parameters = [p for part in build_networks(setup.config.model).parts for p in part.parameters()]
        return path, {
            "steps": int(log[-1]["step"]),
            "train_seconds": round(sum(float(row["seconds"]) for row in log), 1),
            "trainable_parameters": sum(p.numel() for p in parameters if p.requires_grad),
        }

    @property
    def _parts(self) -> tuple[SplitPart, ...]:
        """The images that scores depend on."""
        return ("train", "val") if self._segmenter is None else ("val",)

    def _images(self, setup: Setup, part: SplitPart) -> list[LabeledImage]:
        return self._load(_images_settings(setup), part)

    def _unlabeled(self, setup: Setup) -> list[NDArray[np.uint8]]:
        """Read what `data.unlabeled` names, or take it as read for the combination before."""
        # All that it depends on.
        data = DataConfig(unlabeled=setup.config.data.unlabeled)
        return self._load_unlabeled(Config(images=setup.config.images).model_copy(update={"data": data}))

    def _data_sha256(self, setup: Setup) -> str:
        digests = [self._digest(_images_settings(setup), part) for part in self._parts]
        if self._segmenter is None and (unlabeled := self._unlabeled(setup)):
            digests.append(digest_of_arrays(unlabeled))
        return "+".join(digests)


def _images_settings(setup: Setup) -> Config:
    """Return the settings that labeled images depend on, the others as they are by default."""
    data = setup.config.data.model_copy(update={"unlabeled": ()})
    return Config(data=data, images=setup.config.images)
