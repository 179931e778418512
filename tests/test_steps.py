"""Settings reach the steps that they are for."""

import numpy as np
import pytest
from numpy.typing import NDArray

from autosam.config import load_config
from autosam.steps import basins_of

Maps = dict[str, NDArray[np.float32]]


def plain_maps() -> Maps:
    """One object of 8 × 20 pixels, without anything that would part it."""
    values = {"foreground": 0.8, "boundary": 0.1, "center": 0.9}
    maps = {name: np.full((10, 22), value, dtype=np.float32) for name, value in values.items()}
    maps["foreground"][[0, -1]] = maps["foreground"][:, [0, -1]] = 0.1
    return maps


@pytest.mark.parametrize(
    ("channel", "at", "parting", "not_parting"),
    [
        ("boundary", 0.6, "prompts.boundary=0.5", "prompts.boundary=0.7"),
        ("center", 0.4, "prompts.center=0.5", "prompts.center=0.3"),
    ],
)
def test_each_map_parts_objects_at_its_own_threshold(
    channel: str, at: float, parting: str, not_parting: str
) -> None:
    maps = plain_maps()
    assert basins_of(maps, load_config().prompts).max() == 1
    maps[channel][:, 10:12] = at
    assert basins_of(maps, load_config(overrides=[parting]).prompts).max() == 2
    assert basins_of(maps, load_config(overrides=[not_parting]).prompts).max() == 1


def test_foreground_and_size_have_their_thresholds() -> None:
    maps = plain_maps()
    assert basins_of(maps, load_config(overrides=["prompts.foreground=0.9"]).prompts).max() == 0
    assert basins_of(maps, load_config(overrides=["prompts.min_size=160"]).prompts).max() == 1
    assert basins_of(maps, load_config(overrides=["prompts.min_size=161"]).prompts).max() == 0
