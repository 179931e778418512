"""Segmentations with changing settings, of which only what a change touches is computed again."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from autosam.config import Config
from autosam.instances import MaskCrop
from autosam.pipeline.probability_maps import Maps
from autosam.pipeline.propose import Proposals
from autosam.pipeline.segmentation import Segmentation
from autosam.pipeline.segmenter import Segmenter
from autosam.pipeline.view import View
from autosam.prompts import PromptsOnDemand

LIMIT = 2**31
"""Most bytes of results that are kept in memory; the longest unused ones go first."""

Result = TypeVar("Result")
Asked = tuple[Proposals, list[MaskCrop] | None]
"""What SAM was asked, and its masks."""


class StepCache:
    """Segments the same images again and again, and keeps the results of the steps.

    After a change of ``merge`` only the last step is computed again. After one of ``prompts``, or of a part of
    ``decode`` that only SAM reads, the maps stay.

    Parameters
    ----------
    segmenter : Segmenter
        The model; its own settings are not used.
    images : sequence of ndarray of uint8, shape (H, W, 3)
        Normalized, as those of a `LabeledImage`.
    zooms : sequence of float or None, optional
        Those of the images where they are known; see `LabeledImage`.
    limit : int
        Most bytes of results that are kept.

    Attributes
    ----------
    held : int
        Bytes of the results that are kept now.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        images: Sequence[NDArray[np.uint8]],
        *,
        zooms: Sequence[float | None] | None = None,
        limit: int = LIMIT,
    ) -> None:
        self._segmenter, self._images, self._limit = segmenter, images, limit
        self._zooms = [None] * len(images) if zooms is None else zooms
        self._kept: OrderedDict[object, tuple[Any, int]] = OrderedDict()
        self.held = 0

    def segment(self, index: int, config: Config) -> Segmentation:
        """Segment an image as `Segmenter.segment` does, with these settings."""
        segmenter = self._segmenter.with_settings(config)
        # The thresholds of the prompts find the zoom.
        seen = (index, config.images, config.tiles, config.prompts, config.decode.precision)
        image, zoom = self._images[index], self._zooms[index]
        view = self._keep(seen, lambda: segmenter.view(image, zoom, normalized=True))
        maps = self._predict(index, segmenter, view)
        asked = (index, config.images, config.tiles, config.prompts, config.decode)
        proposals, masks = self._keep(asked, lambda: self._ask(segmenter, view, maps))
        return segmenter.merge(view, maps, proposals, masks)

    def _ask(self, segmenter: Segmenter, view: View, maps: Maps) -> Asked:
        proposals = segmenter.propose(view, maps)
        return proposals, segmenter.decode(view, proposals)

    def _predict(self, index: int, segmenter: Segmenter, view: View) -> Maps:
        images, tiles, decode = segmenter.config.images, segmenter.config.tiles, segmenter.config.decode
        how = (tiles, decode.flips, decode.zooms, decode.precision, segmenter.config.prompts.method)
        return self._keep((index, images, view.zoom, how), lambda: segmenter.predict(view))

    def _keep(self, key: object, compute: Callable[[], Result]) -> Result:
        if key in self._kept:
            self._kept.move_to_end(key)
            known: Result = self._kept[key][0]
            return known
        result = compute()
        # Prompts that are made later would give another size then.
        size = _size(result)
        self._kept[key] = result, size
        self.held += size
        while self.held > self._limit:
            _, (_, oldest) = self._kept.popitem(last=False)
            self.held -= oldest
        return result


def _size(result: Any) -> int:
    """Count the bytes of the arrays in a result."""
    if isinstance(result, np.ndarray):
        return result.nbytes
    if is_dataclass(result):
        return sum(_size(getattr(result, name)) for name in result.__dataclass_fields__)
    if isinstance(result, dict):
        return sum(map(_size, result.values()))
    if isinstance(result, PromptsOnDemand):
        return sum(map(_size, result.made))
    return sum(map(_size, result)) if isinstance(result, list | tuple) else 0
