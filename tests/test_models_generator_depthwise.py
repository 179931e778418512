"""Depthwise convolutions: by hand, and the gradients of plain ones, in float32 and in bfloat16."""

import pytest
import torch
from torch import Tensor, nn

from autosam.models.generator.depthwise import DepthwiseConv2d


def gradients(layer: nn.Conv2d, image: Tensor, weights: Tensor, *, half: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Give the output, and the gradients of its weighted sum by the image and by the kernels."""
    image = image.clone().requires_grad_()
    layer.weight.grad = None
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        y = layer(image)
    (y.float() * weights).sum().backward()
    assert image.grad is not None
    assert layer.weight.grad is not None
    return y.detach(), image.grad, layer.weight.grad


@pytest.mark.parametrize("half", [False, True])
def test_by_hand(half: bool) -> None:
    layer = DepthwiseConv2d(2, 1, stride=2, padding=0)
    layer.load_state_dict({"weight": torch.tensor([2.0, -1.0]).view(2, 1, 1, 1)})
    image = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).view(1, 2, 1, 3)
    y, by_image, by_weight = gradients(layer, image, torch.ones(1, 2, 1, 2), half=half)
    assert y.float().flatten().tolist() == [2, 6, -4, -6]
    assert by_image.flatten().tolist() == [2, 0, 2, -1, 0, -1]
    assert by_weight.flatten().tolist() == [4, 10]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("side", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_the_same_as_a_plain_convolution(side: int, stride: int, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    own = DepthwiseConv2d(20, side, stride=stride, padding=side // 2)
    plain = nn.Conv2d(20, 20, side, stride, side // 2, groups=20, bias=False)
    plain.load_state_dict(own.state_dict())
    image = torch.randn(2, 20, 23, 30).contiguous(memory_format=layout)
    weights = torch.randn(plain(image).shape)
    exact = gradients(plain, image, weights, half=False)
    assert all(torch.equal(*pair) for pair in zip(gradients(own, image, weights, half=False), exact, strict=True))
    found = gradients(own, image, weights, half=True)
    rounded = gradients(plain, image, weights, half=True)
    assert found[0].dtype == torch.bfloat16
    assert torch.equal(found[0], rounded[0])
    for ours, theirs, wanted in zip(found[1:], rounded[1:], exact[1:], strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, wanted, rtol=0.02, atol=0.02 * wanted.abs().max().item())
        assert (ours - wanted).abs().mean() <= 1.1 * (theirs - wanted).abs().mean()


def test_a_frozen_kernel_still_passes_gradients_on() -> None:
    layer = DepthwiseConv2d(4, 5, stride=2, padding=2).requires_grad_(False)
    image = torch.randn(1, 4, 8, 8, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer(image).sum().backward()
    assert image.grad is not None
    assert layer.weight.grad is None
