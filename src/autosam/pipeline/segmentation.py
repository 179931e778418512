"""What comes out of the pipeline for one image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autosam.prompts import Prompt


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The instances of one image and what they were made of.

    Attributes
    ----------
    labels : ndarray of int32, shape (H, W)
        0 for background, 1..n for the instances in raster order; all 0 where nothing was found.
    scores : ndarray of float64, shape (n,)
        Confidence of each instance, 0 to 1, in order of id.
    prompts : sequence of Prompt
        What SAM was asked, or would have been with ``decode.sam``; in the latter case made when they are read.
    prompt_of : ndarray of int64, shape (n,)
        Index of the prompt that each instance answers; -1 where the generator's own region was kept.
    regions : ndarray of int32, shape (H, W)
        The generator's own segmentation; all 0 where it was not asked.
    maps : dict of str to ndarray of float32, shape (H, W)
        The generator's probabilities by channel; empty where it was not asked, or they were not to be kept.
    picture : ndarray of uint8, shape (H, W, 3)
        The normalized image; the mean of the channels where SAM saw them one by one.
    novelty : float or None
        How far the image lies from those that the model was trained on; above 1 it is unlike them
        (`models.statistics.novelty`). None where the generator was not asked, or the model does not know.
    zoom : float
        How much the networks saw the image zoomed, on top of ``images.zoom``.
    stain_normalized : bool
        Whether the networks saw it with the colors of the training images (``images.stain_references``).
    warnings : tuple of str
        What makes the result doubtful, and what to try: next to nothing was found in an image that is nearly all
        dark or bright after scaling; objects wanted another zoom than the image got.
    inside : ndarray of bool, shape (H, W), or None
        The area in which instances count; see `pipeline.inside`. None where that is the whole image.
    """

    labels: NDArray[np.int32]
    scores: NDArray[np.float64]
    prompts: Sequence[Prompt]
    prompt_of: NDArray[np.int64]
    regions: NDArray[np.int32]
    maps: dict[str, NDArray[np.float32]]
    picture: NDArray[np.uint8]
    novelty: float | None = None
    zoom: float = 1.0
    stain_normalized: bool = False
    warnings: tuple[str, ...] = ()
    inside: NDArray[np.bool_] | None = None

    @property
    def out_of_distribution(self) -> bool:
        """Whether the image is unlike those that the model was trained on, as far as the model can tell."""
        return self.novelty is not None and self.novelty > 1
