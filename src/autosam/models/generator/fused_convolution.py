"""A convolution, its batch normalization and what follows them, in one pass over memory."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_IN_ONE_PASS = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)
"""oneDNN's convolution that adds and rectifies what it writes. It is what ``torch.compile`` calls on a CPU."""

Activation = Literal["relu", "relu6"]

# oneDNN's names, and the numbers that they need.
_ACTIVATIONS: dict[Activation | None, tuple[str | None, list[float]]] = {
    None: (None, []),
    "relu": ("relu", []),
    "relu6": ("hardtanh", [0.0, 6.0]),
}


def convolve(
    x: Tensor,
    convolution: nn.Module,
    normalization: nn.Module,
    *,
    plus: Tensor | None = None,
    activation: Activation | None = "relu",
) -> Tensor:
    """Give ``activation(normalization(convolution(x)) + plus)``.

    On a CPU, in evaluation mode and without gradients, the normalization is folded into the convolution's weights,
    and the sum and the rectification are made while its output is written. The result differs by rounding. Reading
    and writing feature maps takes longer than convolving them in bfloat16.

    Parameters
    ----------
    x : Tensor, shape (B, C, H, W)
    convolution : Module
        A ``Conv2d`` without a bias. Others are called as they are.
    normalization : Module
        A ``BatchNorm2d`` with weights and running statistics. Others are called as they are.
    plus : Tensor, optional
        Of the output's shape.
    activation : {"relu", "relu6"}, optional
        Set what is negative to 0, and what is above 6 to 6.
    """
    if (
        _IN_ONE_PASS is None
        or not (isinstance(convolution, nn.Conv2d) and isinstance(normalization, nn.BatchNorm2d))
        or x.device.type != "cpu"
        or normalization.training
        or torch.is_grad_enabled()
        or torch.compiler.is_compiling()
        # oneDNN cannot add to these in bfloat16.
        or (plus is not None and (convolution.groups > 1 or activation == "relu6"))
    ):
        x = normalization(convolution(x))
        if plus is not None:
            x += plus
        if activation is None:
            return x
        return F.relu(x, inplace=True) if activation == "relu" else F.relu6(x, inplace=True)
    weight, bias = _folded(convolution, normalization)
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    # In any other layout, the sum is refused in bfloat16.
    x = x.to(dtype, memory_format=torch.channels_last)
    weight, bias = weight.to(dtype), bias.to(dtype)
    places = (convolution.padding, convolution.stride, convolution.dilation, convolution.groups)
    name, limits = _ACTIVATIONS[activation]
    result: Tensor
    if plus is None:
        result = _IN_ONE_PASS(x, weight, bias, *places, name or "none", limits, "")
    else:
        result = _IN_ONE_PASS.binary(x, plus.to(dtype), weight, bias, *places, "add", None, name, limits, "")
    return result


def _folded(convolution: nn.Conv2d, normalization: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Give the weights and the bias of the convolution that does both."""
    mean, variance = normalization.running_mean, normalization.running_var
    assert mean is not None
    assert variance is not None
    scale = normalization.weight * torch.rsqrt(variance + normalization.eps)
    return convolution.weight * scale[:, None, None, None], normalization.bias - mean * scale
