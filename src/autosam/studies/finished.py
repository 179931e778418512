"""What a sweep has finished: one JSON file for each combination, found again by its settings."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autosam import __version__
from autosam.config import Config, different_settings, make_config
from autosam.errors import AutosamError, ConfigError, InputError
from autosam.images import ensure_folder, write_json, write_text
from autosam.studies.axes import Axis
from autosam.studies.scores import COLUMNS
from autosam.studies.settings import Setup

FOLDER = "results"
TABLE = "sweep.csv"


@dataclass(frozen=True)
class Training:
    """What the training of one combination took.

    Attributes
    ----------
    steps : int
        Steps done.
    seconds : float
        Time of the steps, without validations, over all sessions of the run.
    trainable_parameters : int
    """

    steps: int
    seconds: float
    trainable_parameters: int


@dataclass(frozen=True)
class Result:
    """The scores of one combination and what they are of.

    Attributes
    ----------
    config : Config
        Every setting.
    model : str
        The model that was scored, by name or path.
    model_sha256 : str
        Hash of its file if it was given; empty where the combination was trained.
    data_sha256 : str
        Hash of the images and labels, those that were trained on included.
    images : int
        Images scored.
    scores : mapping of str to float, int or None
        Pooled over the images, by the columns of `scoring.COLUMNS`.
    by_source : mapping of str to such a mapping
    seconds_per_image : float
    training : Training or None
    """

    config: Config
    model: str
    model_sha256: str
    data_sha256: str
    images: int
    scores: Mapping[str, float | int | None]
    by_source: Mapping[str, Mapping[str, float | int | None]]
    seconds_per_image: float
    training: Training | None = None


class Results:
    """The folder of results of a sweep.

    Parameters
    ----------
    out : Path
        Folder of the sweep; it need not exist.

    Raises
    ------
    InputError
        If a file in it is no result.
    """

    def __init__(self, out: Path) -> None:
        self.folder = out / FOLDER
        self._found = {path.stem: _read(path) for path in sorted(self.folder.glob("*.json"))}

    def prepare(self) -> None:
        """Make the folder, and make sure that it can be written to; an OutputError if not."""
        ensure_folder(self.folder)

    def find(self, setup: Setup, *, model_sha256: str, data_sha256: Callable[[], str]) -> Result | None:
        """Give the result with these settings, model and images, whatever its name; None if there is none.

        Raises
        ------
        ConfigError
            If there is another result of this name.
        """
        for result in self._found.values():
            if (
                result.config == setup.config
                and result.model_sha256 == model_sha256
                and (result.data_sha256 == data_sha256())
            ):
                return result
        other = self._found.get(setup.name)
        if other is None:
            return None
        changed = different_settings(other.config.model_dump(mode="json"), setup.config.model_dump(mode="json"))
        changed += [] if other.model_sha256 == model_sha256 else ["the model"]
        raise ConfigError(
            f"{self.folder / setup.name}.json is a result of other {', '.join(changed) or 'images or labels'}; "
            "choose another folder with -o, or move that file away"
        )

    def add(self, setup: Setup, result: Result) -> None:
        """Write a result, whole or not at all."""
        content = {
            "autosam": __version__,
            "set": dict(setup.combination),
            "model": result.model,
            "model_sha256": result.model_sha256,
            "data_sha256": result.data_sha256,
            "images": result.images,
            "scores": dict(result.scores),
            "by_source": {source: dict(scores) for source, scores in result.by_source.items()},
            "seconds_per_image": result.seconds_per_image,
            "training": None if result.training is None else asdict(result.training),
            "settings": result.config.model_dump(mode="json"),
        }
        write_json(self.folder / f"{setup.name}.json", content)
        self._found[setup.name] = result


def write_table(path: Path, axes: Sequence[Axis], rows: Sequence[tuple[Setup, Result]]) -> None:
    """Write one row per combination: its name, the varied settings, scores, times, and scores by source.

    Scores by source are there where there are several. Undefined ones are empty.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    sources = list(dict.fromkeys(source for _, result in rows for source in result.by_source))
    lines: list[dict[str, Any]] = []
    for setup, result in rows:
        line: dict[str, Any] = {"name": setup.name}
        line |= {axis.key: setup.combination[axis.key] for axis in axes}
        line |= result.scores
        line |= {"images": result.images, "seconds_per_image": result.seconds_per_image}
        if result.training is not None:
            line |= {
                "steps": result.training.steps,
                "train_seconds": result.training.seconds,
                "trainable_parameters": result.training.trainable_parameters,
            }
        if len(sources) > 1:
            for source in sources:
                scores = result.by_source.get(source, {})
                line |= {f"{source}_{column}": scores.get(column) for column in COLUMNS}
        lines.append(line)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(key for line in lines for key in line)))
    writer.writeheader()
    writer.writerows(lines)
    write_text(path, text.getvalue())


def _read(path: Path) -> Result:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        training = content["training"]
        return Result(
            # A setting that a later autosam has and this one did not know counts as its default.
            config=make_config(content["settings"]),
            model=content["model"],
            model_sha256=content["model_sha256"],
            data_sha256=content["data_sha256"],
            images=content["images"],
            scores={column: content["scores"][column] for column in COLUMNS},
            by_source=dict(content["by_source"]),
            seconds_per_image=content["seconds_per_image"],
            training=None if training is None else Training(**training),
        )
    except (OSError, ValueError, LookupError, TypeError, AutosamError) as error:
        raise InputError(f"{path} is no result of autosam sweep; move it away to score it anew") from error
