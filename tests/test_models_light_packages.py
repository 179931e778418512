"""segment_anything in parts: quick for autosam, and for everybody else as ever."""

import subprocess
import sys
from textwrap import dedent

import numpy as np
import pytest
from segment_anything.utils.transforms import ResizeLongestSide

from autosam.models.sam.resize_input import input_shape, resize_longest_side


def run(code: str) -> str:
    ran = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_a_later_import_of_the_user_finds_all_of_it() -> None:
    out = run("""
        import sys
        from autosam.models import variants
        assert "torchvision" not in sys.modules
        assert "segment_anything.predictor" not in sys.modules

        import segment_anything
        assert "torchvision" not in sys.modules
        assert not hasattr(segment_anything, "__wrapped__")
        from segment_anything import SamPredictor, sam_model_registry
        from segment_anything import *
        import segment_anything.modeling
        from segment_anything.modeling import Sam as Theirs
        from segment_anything.utils.transforms import ResizeLongestSide
        assert segment_anything.SamPredictor is SamPredictor
        assert SamAutomaticMaskGenerator.__module__ == "segment_anything.automatic_mask_generator"
        assert segment_anything.modeling.Sam is Theirs
        assert sorted(sam_model_registry) == ["default", "vit_b", "vit_h", "vit_l"]
        assert {"SamPredictor", "build_sam", "modeling"} <= set(dir(segment_anything))
        # autosam's classes are theirs.
        sam = variants.build_sam("tiny", image_size=64)
        assert type(sam) is Theirs
        assert SamPredictor(sam).model is sam
        try:
            segment_anything.nothing
        except AttributeError as error:
            print(error)
    """)
    assert out == "module 'segment_anything' has no attribute 'nothing'"


def test_an_earlier_import_of_the_user_stays() -> None:
    run("""
        import segment_anything
        before = vars(segment_anything).copy()
        from autosam.models.variants import build_sam
        import segment_anything as again
        assert again is segment_anything
        assert type(build_sam("tiny", image_size=64)) is segment_anything.modeling.Sam
        assert all(vars(segment_anything)[name] is value for name, value in before.items())
    """)


def test_a_package_that_fails_says_so_each_time() -> None:
    run("""
        import sys, autosam.models
        sys.modules["torchvision"] = None
        import segment_anything
        for _ in range(2):
            try:
                segment_anything.SamPredictor
            except ImportError as error:
                assert "torchvision" in str(error)
            else:
                raise AssertionError
        del sys.modules["torchvision"]
        assert segment_anything.SamPredictor.__name__ == "SamPredictor"
    """)


def test_the_input_by_hand() -> None:
    image = np.array([[[0, 0, 0], [100, 50, 200]]], np.uint8)
    assert resize_longest_side(image, 4)[..., 0].tolist() == [[0, 25, 75, 100]] * 2


@pytest.mark.parametrize("side", [64, 512])
def test_the_input_is_theirs_bit_for_bit(side: int) -> None:
    rng = np.random.default_rng(0)
    shapes = [(1, 1), (64, 64), (512, 512), (3, 70), (700, 41), (63, 64), (300, 299), (640, 513)]
    for shape in shapes:
        image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        theirs = ResizeLongestSide(side)
        expected = theirs.apply_image(image)
        assert input_shape(shape, side) == theirs.get_preprocess_shape(*shape, side) == expected.shape[:2]
        np.testing.assert_array_equal(resize_longest_side(image, side), expected)
        # Pixels that do not lie one behind the other.
        np.testing.assert_array_equal(
            resize_longest_side(image[::-1, ::-1], side), theirs.apply_image(image[::-1, ::-1].copy())
        )


def test_of_a_thin_strip_one_row_is_left() -> None:
    assert resize_longest_side(np.zeros((1, 3000, 3), np.uint8), 64).shape == (1, 64, 3)
