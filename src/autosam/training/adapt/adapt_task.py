"""What an adaptation is about: a model, labels in two parts, and what is trained."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from autosam.config import Config, load_config
from autosam.data import LabeledImage
from autosam.models.files.model_header import ModelHeader, read_header
from autosam.models.files.zoo import resolve_model
from autosam.training.adapt.adapt_settings import adapt_settings
from autosam.training.adapt.adapted_part import Asked, Choice, check_objects, choose_part
from autosam.training.adapt.few_labels import (
    LabelOptions,
    count_empty,
    count_objects,
    read_labels_of,
    share_that_counts,
    zoom_by_objects,
)
from autosam.training.adapt.leave_out import Division, leave_out

LEAST_SHARE = 0.5
"""Share of the pixels whose labels have to be known, so that what was left out tells how good new weights are.

Reviewed areas hold more objects than the rest of an image. So they do not show what new weights find elsewhere,
and thresholds that suit them do not suit the rest (docs/benchmarks.md).
"""


@dataclass(frozen=True)
class AdaptOptions:
    """How a model is adapted.

    Attributes
    ----------
    minutes : float
        Time for all of it; not read where ``steps`` is given.
    steps : int, optional
        Training steps; the same number gives the same model.
    train : {"auto", "thresholds", "lora", "sam", "generator", "all"}
        What is trained.
    labels : LabelOptions
        How the labels are read.
    seed : int
        Of every random draw.
    overrides : tuple of str
        Settings of the training, as ``training.learning_rate=1e-4``.
    """

    minutes: float = 10.0
    steps: int | None = None
    train: Asked = "auto"
    labels: LabelOptions = field(default_factory=LabelOptions)
    seed: int = 0
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class AdaptTask:
    """What is adapted, to what, and how.

    Attributes
    ----------
    name : str
        Of the model, as the user gave it.
    path : Path
        Its file.
    header : ModelHeader
        What that says.
    own : Config
        Settings that the model segments with.
    config : Config
        The same with those of the training.
    images : list of LabeledImage
        All labels.
    division : Division
        What of them is learnt from, and what is left out.
    choice : Choice
        What is trained.
    """

    name: str
    path: Path
    header: ModelHeader
    own: Config
    config: Config
    images: list[LabeledImage]
    division: Division
    choice: Choice

    @classmethod
    def read(cls, data: Path, model: str, options: AdaptOptions) -> "AdaptTask":
        """Read labels, and decide what is done with them.

        Raises
        ------
        InputError
            If there is nothing to learn from.
        ConfigError
            If a setting is wrong, or the model lacks what is to be trained.
        ModelError
            If the model cannot be read.
        """
        path = resolve_model(model)
        header = read_header(path)
        own = load_config(defaults=dict(header.settings), overrides=[f"seed={options.seed}"])
        images = read_labels_of(data, own, options.labels)
        check_objects(count_objects(images), len(images))
        division = _with_zoom(leave_out(images), images, own)
        objects, empty = count_objects(division.learnt), count_empty(division.learnt)
        choice = choose_part(own, objects, options.train, empty=empty)
        config = adapt_settings(header, choice.part, seed=options.seed, overrides=options.overrides)
        return cls(model, path, header, own, config, images, division, choice)

    @property
    def validates(self) -> bool:
        """Whether what was left out tells when to stop, how much of the new weights to take, and thresholds."""
        return bool(self.division.left_out) and share_that_counts(self.images) >= LEAST_SHARE

    @property
    def scored(self) -> list[LabeledImage]:
        """What old and new model are compared on: what was left out, or everything where nothing is trained."""
        left_out = self.division.left_out
        return left_out if left_out and self.choice.part != "thresholds" else self.images


def _with_zoom(division: Division, images: Sequence[LabeledImage], own: Config) -> Division:
    """Learn from images at the zoom at which the model will see them.

    Whole images that are left out are zoomed as the model finds it; regions hold too few objects to tell.
    """
    zoom = zoom_by_objects([one for one in images if one.labels.any()], own)
    if zoom is None:
        return division
    learnt, left_out = (
        [one if one.zoom is not None else replace(one, zoom=zoom) for one in part]
        for part in (division.learnt, division.left_out)
    )
    return Division(learnt, left_out if division.how == "regions" else division.left_out, division.how)
