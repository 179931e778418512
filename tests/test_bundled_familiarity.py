"""The bundled models know the images of their field, whole and in parts, from those of the other one."""

from pathlib import Path

import pytest

from autosam import Segmenter, read_image

EXAMPLES = Path(__file__).parent.parent / "examples"
ONCE = ("decode.sam=false", "decode.flips=false", "decode.scales=[1.0]", "prompts.judge=false")


@pytest.fixture(scope="module")
def segmenters() -> dict[str, Segmenter]:
    return {name: Segmenter.from_model(name, overrides=ONCE) for name in ("mito", "nuclei")}


@pytest.mark.slow
@pytest.mark.parametrize("side", [256, 512])
@pytest.mark.parametrize(
    ("model", "image", "unfamiliar"),
    [
        ("mito", "vnc_13.png", False),
        ("mito", "nuclei/dsb2018_5f9d29d6388c.png", True),
        ("nuclei", "vnc_13.png", True),
        ("nuclei", "nuclei/dsb2018_5f9d29d6388c.png", False),
    ],
)
def test_a_model_knows_its_field(
    segmenters: dict[str, Segmenter], model: str, image: str, side: int, unfamiliar: bool
) -> None:
    pixels = read_image(EXAMPLES / image)[:side, :side]
    assert segmenters[model].segment(pixels, magnification=1.0).unfamiliar == unfamiliar


@pytest.mark.slow
def test_an_electron_micrograph_does_not_come_to_look_like_nuclei_by_being_magnified(
    segmenters: dict[str, Segmenter],
) -> None:
    pixels = read_image(EXAMPLES / "vnc_13.png")[300:500, 300:500]
    assert segmenters["nuclei"].segment(pixels, magnification=5.0).unfamiliar
