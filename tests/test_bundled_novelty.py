"""The bundled models know the images of their field from those of the other one."""

from pathlib import Path

import pytest

from autosam import Segmenter, read_image

EXAMPLES = Path(__file__).parent.parent / "examples"
ONCE = ("decode.sam=false", "decode.flips=false", "decode.zooms=[1.0]", "prompts.region_classifier=false")


@pytest.fixture(scope="module")
def segmenters() -> dict[str, Segmenter]:
    return {name: Segmenter.from_model(name, overrides=ONCE) for name in ("mito", "nuclei")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "image", "least", "most"),
    [
        ("mito", "vnc_13.png", 0, 0.9),
        ("mito", "nuclei/dsb2018_5f9d29d6388c.png", 1.4, 20),
        ("nuclei", "vnc_13.png", 1.3, 3),
        ("nuclei", "nuclei/dsb2018_5f9d29d6388c.png", 0, 0.8),
    ],
)
def test_a_model_knows_its_field(
    segmenters: dict[str, Segmenter], model: str, image: str, least: float, most: float
) -> None:
    novelty = segmenters[model].segment(read_image(EXAMPLES / image)[:512, :512], zoom=1.0).novelty
    assert novelty is not None
    assert least < novelty < most


@pytest.mark.slow
def test_an_electron_micrograph_does_not_come_to_look_like_nuclei_by_being_zoomed(
    segmenters: dict[str, Segmenter],
) -> None:
    """As it is at the scale that `nuclei` finds in it; with one mean for each source it was .6."""
    pixels = read_image(EXAMPLES / "vnc_13.png")[300:500, 300:500]
    assert segmenters["nuclei"].segment(pixels, zoom=5.0).out_of_distribution


@pytest.mark.slow
def test_most_small_parts_of_a_known_image_are_known(segmenters: dict[str, Segmenter]) -> None:
    image = read_image(EXAMPLES / "vnc_13.png")
    parts = [image[row : row + 256, col : col + 256] for row in range(0, 1024, 256) for col in range(0, 1024, 256)]
    found = [segmenters["mito"].segment(part, zoom=1.0).out_of_distribution for part in parts]
    assert sum(found) <= 2
