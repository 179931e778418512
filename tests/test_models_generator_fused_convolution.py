"""Convolution, normalization, sum and rectification in one: by hand, and as the layers one after another."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from autosam.models.generator import fused_convolution
from autosam.models.generator.fused_convolution import convolve


def layers(before: int, width: int, side: int, stride: int, groups: int = 1) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    convolution = nn.Conv2d(before, width, side, stride, padding=side // 2, groups=groups, bias=False)
    normalization = nn.BatchNorm2d(width)
    for tensor, low, high in (
        (normalization.weight, -1, 2),
        (normalization.bias, -1, 1),
        (normalization.running_mean, -1, 1),
        (normalization.running_var, 0.5, 2),
    ):
        assert tensor is not None
        nn.init.uniform_(tensor, low, high)
    return convolution.eval(), normalization.eval()


def test_by_hand() -> None:
    convolution, normalization = layers(1, 1, 1, 1)
    state = normalization.state_dict()
    state |= {"weight": torch.tensor([6.0]), "bias": torch.tensor([1.0])}
    state |= {"running_mean": torch.tensor([5.0]), "running_var": torch.tensor([4.0 - normalization.eps])}
    normalization.load_state_dict(state)
    nn.init.constant_(convolution.weight, 2.0)
    # 2 x, less 5, over 2, times 6, plus 1.
    x = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    with torch.no_grad():
        assert convolve(x, convolution, normalization, activation=None).flatten().tolist() == pytest.approx(
            [-8, -2, 4]
        )
        assert convolve(x, convolution, normalization).flatten().tolist() == pytest.approx([0, 0, 4])
        x = x + 1
        assert convolve(x, convolution, normalization, activation="relu6").flatten().tolist() == pytest.approx(
            [0, 4, 6]
        )
        x = x - 1
        plus = torch.tensor([[[[9.0, 1.0, -5.0]]]])
        both = convolve(x, convolution, normalization, plus=plus)
        assert both.flatten().tolist() == pytest.approx([1, 0, 0], abs=1e-5)
    assert plus.flatten().tolist() == [9, 1, -5]


@pytest.mark.parametrize(
    ("before", "width", "side", "stride", "groups"),
    [(3, 64, 7, 2, 1), (5, 8, 3, 1, 1), (8, 5, 1, 2, 1), (32, 16, 3, 1, 1), (24, 24, 5, 2, 24)],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("activation", ["relu", "relu6", None])
@pytest.mark.parametrize("add", [True, False])
def test_the_same_as_the_layers(before, width, side, stride, groups, layout, activation, add) -> None:
    torch.manual_seed(0)
    convolution, normalization = layers(before, width, side, stride, groups)
    x = torch.randn(2, before, 23, 30).contiguous(memory_format=layout)

    def by_layers(x: Tensor) -> Tensor:
        y = normalization(convolution(x))
        y = y + plus.to(y.dtype) if add else y
        return {"relu": Tensor.relu, "relu6": functional.relu6, None: Tensor.clone}[activation](y)

    with torch.no_grad():
        plus = torch.randn(normalization(convolution(x)).shape)
        given = plus if add else None
        expected = by_layers(x)
        torch.testing.assert_close(
            convolve(x, convolution, normalization, plus=given, activation=activation),
            expected,
            rtol=1e-5,
            atol=2e-5,
        )
        with torch.autocast("cpu", dtype=torch.bfloat16):
            fused = convolve(x, convolution, normalization, plus=given, activation=activation)
            slow = by_layers(x)
    assert fused.dtype == torch.bfloat16
    # Weights are rounded after they were folded, not before: elsewhere, no more.
    assert (fused - expected).abs().mean() <= 1.5 * (slow - expected).abs().mean()


def test_training_gradients_and_other_layers_are_as_ever(monkeypatch) -> None:
    monkeypatch.setattr(fused_convolution, "_IN_ONE_PASS", lambda *_: pytest.fail("was fused"))
    convolution, normalization = layers(3, 4, 3, 1)
    x = torch.randn(1, 3, 8, 8)
    convolve(x, convolution, normalization).sum().backward()
    assert convolution.weight.grad is not None
    with torch.no_grad():
        before = normalization.running_mean.clone()
        convolve(x, convolution, normalization.train())
        assert not torch.equal(normalization.running_mean, before)
        torch.testing.assert_close(convolve(x, convolution, nn.Identity()), convolution(x).relu())


def test_a_torch_without_it_gives_the_same(monkeypatch) -> None:
    convolution, normalization = layers(3, 4, 3, 1)
    x = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        fused = convolve(x, convolution, normalization)
        monkeypatch.setattr(fused_convolution, "_IN_ONE_PASS", None)
        torch.testing.assert_close(convolve(x, convolution, normalization), fused, rtol=1e-5, atol=1e-5)
