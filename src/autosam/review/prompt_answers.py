"""The masks that SAM gives for the prompts of corrections."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.config.old_names import renamed_settings
from autosam.errors import ConfigError, InputError, ModelError
from autosam.evaluation.results_page.folder_record import RunFacts
from autosam.instances import MaskCrop
from autosam.models.files.file_hash import file_sha256
from autosam.models.files.zoo import resolve_model
from autosam.models.sam.masks import EncodedWindows
from autosam.pipeline.probability_maps import Maps
from autosam.pipeline.propose import Proposals
from autosam.pipeline.segmenter import Segmenter
from autosam.pipeline.view import Image, View
from autosam.prompts import Prompt
from autosam.review.corrections import Correction

_OF_RUN = ("images", "tiles", "prompts", "decode", "merge")
# What drops or joins objects by itself has no say about an object that a person asked for.
_ASKED = (
    "prompts.method=user",
    "decode.sam=true",
    "merge.min_size=1",
    "merge.max_size=null",
    "merge.exclude_border=false",
)


def open_segmenter(
    run: RunFacts, *, model: str | None = None, prompted: bool = True, device: str = "auto"
) -> Segmenter:
    """Load the model of a run with its settings, or another model with its own.

    Parameters
    ----------
    model : str, optional
        Name or file of another model.
    prompted : bool
        It is to answer the prompts of corrections: ``prompts.method`` is user, and no size drops an object.
        Otherwise it does what the run did.
    device : str
        As in `Segmenter.from_model`.

    Raises
    ------
    ModelError
        If the model is gone, or its file is another one now.
    ConfigError
        If this version of autosam does not know the settings of the run, or the model has no SAM to answer.
    """
    more = _ASKED if prompted else ()
    try:
        if model is not None:
            return Segmenter.from_model(model, overrides=more, device=device)
        _check_model(run)
        settings = renamed_settings(dict(run.settings))
        overrides = [*_written({name: settings[name] for name in _OF_RUN if name in settings}), *more]
        return Segmenter.from_model(run.model, overrides=overrides, device=device)
    except ConfigError as error:
        if prompted and "decode.sam" in str(error):
            raise ConfigError(
                f"the model {model or run.model} has no SAM that could answer points and boxes; name one that has "
                "with --model, or draw masks"
            ) from error
        raise


def _check_model(run: RunFacts) -> None:
    remedy = f"put the file with sha256 {run.model_sha256} back, or name a model with --model"
    try:
        file = resolve_model(run.model)
    except ModelError as error:
        raise ModelError(f"the model {run.model} that made the results is gone; {remedy}") from error
    if file_sha256(file) != run.model_sha256:
        raise ModelError(f"the model {run.model} is not the one that made the results; {remedy}")


def _written(settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Write settings as ``section.key=value``; JSON is YAML."""
    return [f"{name}.{key}={json.dumps(value)}" for name, own in settings.items() for key, value in own.items()]


@dataclass(frozen=True, eq=False)
class PromptAnswers:
    """Answers prompts about one image, each on its own.

    The image is normalized once, and SAM encodes each window once. So after the first answer, a further prompt
    near it takes the mask decoder alone.

    Parameters
    ----------
    segmenter : Segmenter
        From `open_segmenter`.
    image : ndarray or sequence of ndarray
        As in `Segmenter.view`.
    zoom : float
        The image's own, as the results have it.
    encoded : mutable mapping
        Keeps what SAM has encoded, see `decode_masks`; by default all of it.
    """

    segmenter: Segmenter
    image: Image
    zoom: float = 1.0
    encoded: EncodedWindows = field(default_factory=dict, repr=False)

    @cached_property
    def view(self) -> View:
        """The image as SAM sees it."""
        return self.segmenter.view(self.image, self.zoom)

    def answer(self, prompts: Sequence[Prompt]) -> list[MaskCrop | None]:
        """Ask SAM.

        Returns
        -------
        list of MaskCrop or None
            One for each prompt, in pixels of the image: 8-connected, with ``merge.fill_holes`` without holes. None
            where SAM sees nothing. Objects may overlap.
        """
        if not prompts:
            return []
        view = self.view
        proposals = self.segmenter.propose(view, Maps({}), prompts)
        masks = self.segmenter.decode(view, proposals, encoded=self.encoded) or []
        found: list[MaskCrop | None] = [None] * len(prompts)
        for mask in masks:
            alone = Proposals(proposals.regions, [proposals.prompts[mask.prompt]], 0)
            merged = self.segmenter.merge(view, Maps({}), alone, [replace(mask, prompt=0)])
            if len(merged.scores):
                found[mask.prompt] = _crop(merged.labels, float(merged.scores[0]), mask.prompt)
        return found


def _crop(labels: NDArray[np.int32], score: float, prompt: int) -> MaskCrop:
    window = ndimage.find_objects(labels)[0]
    return MaskCrop(window[0].start, window[1].start, labels[window] == 1, score, prompt)


def prompt_of(one: Correction, labels: NDArray[np.int32]) -> Prompt:
    """Give the prompt of a correction that draws an object.

    Points beside an object that is redrawn do not say where it is. So where there is nothing else, the box of the
    object goes with them.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)
        Those that the correction is about.

    Raises
    ------
    InputError
        If the object is not there.
    """
    prompt = one.prompt()
    if prompt.box is not None or (prompt.point_labels == 1).any():
        return prompt
    rows, cols = np.nonzero(labels == one.objects[0])
    if not len(rows):
        raise InputError(f"{one.image} has no object {one.objects[0]}; name one that is there")
    box = np.array([rows.min(), cols.min(), rows.max(), cols.max()], np.float64)
    return replace(prompt, box=box)
