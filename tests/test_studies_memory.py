import numpy as np
import pytest
import torch
from blobs import discs, small_config
from torch import Tensor, nn

from autosam.models.networks import Networks, build_networks
from autosam.pipeline.segmenter import Segmenter
from autosam.studies.memory import remembered


class Counting(nn.Module):
    """Doubles what it is given; counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def forward(self, image: Tensor, *, more: float = 0.0) -> tuple[Tensor, Tensor]:
        self.asked += 1
        return 2 * image + more, image


def networks_with(generator: nn.Module | None) -> Networks:
    return Networks(None, generator)  # type: ignore[arg-type]


def test_the_same_question_is_asked_once() -> None:
    module, image = Counting(), torch.arange(6.0).reshape(2, 3)
    with remembered(networks_with(module)):
        first = module(image)
        first[0].zero_()  # whoever changes an answer must not change what is remembered
        again = module(image.clone())
        assert module.asked == 1
        assert torch.equal(again[0], 2 * image)
        assert torch.equal(module(image, more=1.0)[0], 2 * image + 1)
        module(image.reshape(3, 2))
        module(image.double())
        assert module.asked == 4
    module(image)
    module(image)
    assert module.asked == 6, "it remembers beyond the block"


def test_the_longest_unused_answers_go_first() -> None:
    module = Counting()
    a, b, c = (torch.full((4,), value) for value in (1.0, 2.0, 3.0))
    with remembered(networks_with(module), budget=2 * 32):  # two answers of two tensors of 16 bytes
        for image in (a, b, a, c):
            module(image)
        assert module.asked == 3
        module(a)
        assert module.asked == 3
        module(b)
        assert module.asked == 4


def test_an_error_leaves_the_networks_as_they_were() -> None:
    module = Counting()
    with pytest.raises(KeyboardInterrupt), remembered(networks_with(module)):
        raise KeyboardInterrupt
    assert "forward" not in vars(module)
    with remembered(networks_with(None)):
        pass


def test_a_segmentation_is_the_same_with_memory_and_without() -> None:
    config = small_config(
        "merge.min_score=0", "merge.min_size=1", "prompts.foreground=0.45", "prompts.boundary=0.9"
    )
    networks = build_networks(config.model, seed=1)
    for part in networks.parts:
        part.eval()
    image, _ = discs(0)
    plain = Segmenter(networks, config).segment(image)
    assert len(plain.prompts)
    with remembered(networks):
        for _ in range(2):
            answer = Segmenter(networks, config).segment(image)
            assert np.array_equal(answer.labels, plain.labels)
            assert np.array_equal(answer.scores, plain.scores)
