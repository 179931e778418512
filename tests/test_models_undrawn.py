"""Networks that are built without drawing random weights."""

import torch
from small_models import model_of
from torch import nn

from autosam.models.networks import build_generator
from autosam.models.undrawn import Undrawn
from autosam.models.variants import build_sam


def test_nothing_is_drawn_within_and_all_as_ever_after_it() -> None:
    torch.manual_seed(0)
    expected = [nn.Linear(3, 2).weight, nn.Conv2d(3, 4, 3).weight]
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with Undrawn():
        nn.Linear(300, 200)
        convolution = nn.Conv2d(3, 4, 3)
        norm = nn.BatchNorm2d(4)
        nn.init.trunc_normal_(convolution.weight, std=0.02)
        nn.init.kaiming_normal_(tensor=convolution.weight)
        nn.init.zeros_(convolution.weight)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(norm.weight, torch.ones(4))
    assert not convolution.weight.any()
    assert all(
        torch.equal(one, other)
        for one, other in zip([nn.Linear(3, 2).weight, nn.Conv2d(3, 4, 3).weight], expected, strict=True)
    )


def test_networks_have_the_same_tensors() -> None:
    model = model_of()
    shapes = []
    for context in (torch.random.fork_rng(), Undrawn()):
        with context:
            sam = build_sam("tiny", image_size=64)
            generator = build_generator(model, sam)
        assert generator is not None
        shapes.append(
            [(name, t.shape, t.dtype) for part in (sam, generator) for name, t in part.state_dict().items()]
        )
    assert shapes[0] == shapes[1]
