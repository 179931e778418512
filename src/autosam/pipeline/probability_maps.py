"""The generator's probability maps of an image, and what they depend on."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autosam.config import Config, Flips
from autosam.models.combine import CombineAnswers
from autosam.models.precision import Precision


class MapSettings(NamedTuple):
    """What maps depend on beside the view: see the settings of the same names, and `predict_maps`."""

    tile_size: int
    overlap: float
    flips: Flips
    zooms: tuple[float, ...]
    precision: Precision
    combine: CombineAnswers

    @classmethod
    def of(cls, config: Config, *, tile_size: int, combine: CombineAnswers) -> "MapSettings":
        """Take them from a config; ``tile_size`` is what SAM wants where ``tiles.size`` is null."""
        decode, tiles = config.decode, config.tiles
        return cls(
            tile_size=tile_size,
            overlap=tiles.overlap,
            flips=decode.flips,
            zooms=decode.zooms,
            precision=decode.precision,
            combine=combine,
        )


@dataclass(frozen=True, eq=False)
class Maps:
    """What the generator says of an image.

    Attributes
    ----------
    probabilities : dict of str to ndarray of float32, shape (h, w)
        By channel, on the grid of the networks; empty where the generator was not asked.
    novelty : float or None
        How unlike the training images the image is, at the first zoom; None where the model cannot tell.
    settings : MapSettings or None
        What they were predicted with; None where the generator was not asked.
    """

    probabilities: dict[str, NDArray[np.float32]]
    novelty: float | None = None
    settings: MapSettings | None = None

    def only(self, *channels: str) -> "Maps":
        """Give those of some channels, as far as they are there."""
        return replace(
            self, probabilities={name: of for name, of in self.probabilities.items() if name in channels}
        )
