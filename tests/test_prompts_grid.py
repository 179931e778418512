import numpy as np
import pytest
from segment_anything.utils.amg import build_point_grid
from with_defaults import grid_prompts

from autosam.errors import ConfigError


@pytest.mark.parametrize("shape", [(512, 512), (165, 768), (768, 165), (1, 1), (10, 3000)])
@pytest.mark.parametrize("side", [1, 7, 32])
def test_equals_segment_anything(shape, side):
    prompts = grid_prompts(shape, side=side)
    points_xy = build_point_grid(side) * np.array(shape)[None, ::-1]
    np.testing.assert_array_equal(np.concatenate([p.points for p in prompts]), points_xy[:, ::-1])
    for prompt in prompts:
        np.testing.assert_array_equal(prompt.point_labels, [1])
        assert prompt.points.dtype == np.float64
        assert prompt.point_labels.dtype == np.int64
        assert prompt.box is None
        assert prompt.mask is None
        assert (prompt.foreground, prompt.region) == (1, 0)


def test_nothing_to_lay_a_grid_on():
    assert grid_prompts((0, 5)) == []


def test_side_must_be_positive():
    with pytest.raises(ConfigError, match="0 points"):
        grid_prompts((4, 4), side=0)
