"""SAM's answers while a person clicks: the model is loaded once, and the last images are kept ready."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from autosam.errors import AutosamError, InputError
from autosam.evaluation.results_page.folder_record import RunFacts
from autosam.instances import MaskCrop
from autosam.pipeline.origin_images import OriginImages
from autosam.pipeline.segmenter import Segmenter
from autosam.review.check_corrections import faults_of
from autosam.review.corrections import Correction
from autosam.review.prompt_answers import PromptAnswers, open_segmenter, prompt_of
from autosam.review.review_results import ReviewImage, ReviewResults
from autosam.review.server.recent_windows import RecentWindows
from autosam.review.server.turns import Turns

WINDOW_BYTES = 128_000_000
"""Memory of the embeddings of one image."""
IMAGE_BYTES = 512_000_000
"""Memory of the images that are kept, about."""
MOST_IMAGES = 4
"""Images that are kept at most."""
_PER_PIXEL = 15
"""Bytes of an image and its view for each pixel, about."""


@dataclass(frozen=True, eq=False)
class _Ready:
    """An image that is ready to be asked about."""

    image: ReviewImage
    answers: PromptAnswers
    nbytes: int

    @cached_property
    def labels(self) -> NDArray[np.int32]:
        return self.image.read_labels()


class LiveAnswers:
    """Answers one prompt at a time; the models of all runs are loaded in the background.

    Parameters
    ----------
    results : ReviewResults
    model : str, optional
        Name or file of another model than that of the run.
    images : str, optional
        File or folder of the images, by name; by default where the run record says.
    device : str
        As in `Segmenter.from_model`.
    """

    def __init__(
        self,
        results: ReviewResults,
        *,
        model: str | None = None,
        images: str | None = None,
        device: str = "auto",
    ) -> None:
        self._results, self._model, self._device = results, model, device
        self._origins = OriginImages(images)
        self._segmenters: dict[str, Segmenter | AutosamError] = {}
        self._kept: OrderedDict[str, _Ready] = OrderedDict()
        self._turns = Turns()
        self._loaded = threading.Event()
        self._loading = threading.Thread(target=self._load, name="autosam-model", daemon=True)

    def load(self) -> None:
        """Begin to load the models; returns at once."""
        self._loading.start()

    @property
    def loaded(self) -> bool:
        """Whether questions are answered at once."""
        return self._loaded.is_set()

    def answer(self, question: Correction) -> MaskCrop | None:
        """Ask SAM what a correction that draws would draw; None where it sees nothing.

        Raises
        ------
        InputError, ConfigError, ModelError
            If the image is gone or another one, points lie outside, or the model is gone or has no SAM.
        """
        self._loaded.wait()
        with self._turns.wanted():
            return self._ask(question)

    def prepare(self, question: Correction) -> None:
        """Let SAM see what a question is about, unless another one is to be prepared before it begins.

        Questions that are asked come first. Nothing happens while the model is loading. Errors are those of
        `answer`.
        """
        if self.loaded:
            with self._turns.spare() as current:
                if current:
                    self._ask(question)

    def _ask(self, question: Correction) -> MaskCrop | None:
        ready = self._ready(question.image)
        faults = faults_of(ready.labels, [question])
        if faults:
            raise InputError(faults[0].partition(": ")[2])
        (found,) = ready.answers.answer([prompt_of(question, ready.labels)])
        return found

    def _load(self) -> None:
        try:
            for run in self._results.record.runs:
                try:
                    self._segmenters[run.number] = self._open(run)
                except AutosamError as error:
                    # Told to whoever asks.
                    self._segmenters[run.number] = error
        finally:
            # Nobody waits for what has failed.
            self._loaded.set()

    def _open(self, run: RunFacts) -> Segmenter:
        return open_segmenter(run, model=self._model, device=self._device)

    def _ready(self, name: str) -> _Ready:
        """Give an image that is kept, or read it in place of those that were asked about longest ago."""
        found = self._kept.pop(name, None)
        if found is None:
            image = self._results.find(name)
            if image is None:
                raise InputError(f"there are no results of {name!r}")
            segmenter = self._segmenters.get(image.run.number)
            if segmenter is None:
                raise InputError("the model could not be loaded; the terminal of autosam review says why")
            if not isinstance(segmenter, Segmenter):
                # Each thread that asks raises its own, for raising writes into an error.
                raise type(segmenter)(*segmenter.args)
            loaded = image.load(self._origins)
            nbytes = _PER_PIXEL * int(np.prod(loaded.shape))
            self._make_room(nbytes)
            answers = PromptAnswers(segmenter, loaded.image, image.zoom, encoded=RecentWindows(WINDOW_BYTES))
            found = _Ready(image, answers, nbytes)
        self._kept[name] = found
        return found

    def _make_room(self, nbytes: int) -> None:
        used = nbytes + sum(one.nbytes for one in self._kept.values())
        while self._kept and (used > IMAGE_BYTES or len(self._kept) >= MOST_IMAGES):
            used -= self._kept.popitem(last=False)[1].nbytes
