"""The masks before merging, on the image's own grid."""

import numpy as np
import pytest
from fake_networks import BrightPixels, build_small_sam, draw_ellipses, use_component_sam

from autosam.config import make_config
from autosam.evaluation.diagnosis.trace import Trace, trace_image
from autosam.images import resize_labels
from autosam.instances import MaskCrop, resize_crop
from autosam.models.networks import Networks
from autosam.pipeline.segmenter import Segmenter

SPOTS, TRUTH = draw_ellipses((100, 150), [(20, 30, 9, 12), (50, 100, 14, 10), (80, 40, 8, 16)])


def trace(image, **sections) -> Trace:
    settings = {"decode": {"precision": "float32"}} | sections
    networks = Networks(build_small_sam(), BrightPixels())  # type: ignore[arg-type]
    return trace_image(Segmenter(networks, make_config(settings)), image)


def painted(crop: MaskCrop, shape):
    whole = np.zeros(shape, dtype=np.int32)
    whole[crop.row : crop.row + crop.mask.shape[0], crop.col : crop.col + crop.mask.shape[1]] = crop.mask
    return whole


@pytest.mark.parametrize("grid", [(30, 50), (7, 11), (64, 33), (200, 120)])
@pytest.mark.parametrize("shape", [(30, 50), (61, 100), (9, 14)])
def test_a_crop_moves_as_the_whole_mask_would(grid, shape):
    random = np.random.default_rng(0)
    for _ in range(20):
        row, col = random.integers(0, grid)
        height, width = random.integers(1, (grid[0] - row + 1, grid[1] - col + 1))
        crop = MaskCrop(int(row), int(col), random.random((height, width)) < 0.6, score=0.5, prompt=3)
        moved = resize_crop(crop, grid, shape)
        expected = resize_labels(painted(crop, grid), shape)
        assert (moved is None) == (not expected.any()) or grid == shape
        if moved is not None:
            assert np.array_equal(painted(moved, shape), expected)
            assert (moved.score, moved.prompt) == (0.5, 3)


def test_masks_that_the_merge_drops_are_there(monkeypatch):
    use_component_sam(monkeypatch)
    found = trace(SPOTS, merge={"min_size": 5000})
    assert not found.result.labels.any()
    assert found.masks is not None
    assert [np.count_nonzero(mask.mask) for mask in found.masks] == np.bincount(TRUTH.ravel())[1:].tolist()


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_masks_of_a_zoomed_image_fit_its_labels(monkeypatch, scale):
    use_component_sam(monkeypatch)
    found = trace(SPOTS, images={"zoom": scale}, merge={"min_size": 8})
    assert found.masks is not None
    assert len(found.masks) == 3
    for number, mask in enumerate(found.masks, start=1):
        assert np.array_equal(painted(mask, TRUTH.shape) > 0, found.result.labels == number)


def test_without_sam_there_are_no_masks():
    found = trace(SPOTS, decode={"sam": False})
    assert found.masks is None
    assert found.result.labels.max() == 3


def test_a_blank_image_has_no_masks(monkeypatch):
    use_component_sam(monkeypatch)
    found = trace(np.zeros((40, 50), dtype=np.uint8))
    assert found.masks == []
