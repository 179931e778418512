"""A depthwise convolution whose gradient is fast on a CPU in bfloat16, too."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DepthwiseConv2d(nn.Conv2d):
    """A convolution of each channel with a kernel of its own, without a bias.

    oneDNN has slow code for some gradients in bfloat16: all of stride 2, and those of the weights of larger
    kernels. Up to 15 times the time of float32 was measured. Here these gradients are computed in float32, where
    autocast is on. Outputs, and everything in float32, are those of ``nn.Conv2d``.

    Parameters
    ----------
    channels, side, stride, padding : int
        The kernel has ``side`` × ``side`` weights for each channel.
    """

    def __init__(self, channels: int, side: int, *, stride: int, padding: int) -> None:
        super().__init__(channels, channels, side, stride, padding, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Turn (B, C, H, W) into the same number of channels."""
        slow = self.stride[0] > 1 or self.kernel_size[0] > 3
        if (
            not slow
            or x.device.type != "cpu"
            or not torch.is_autocast_enabled("cpu")
            or not torch.is_grad_enabled()
            or torch.compiler.is_compiling()
        ):
            return super().forward(x)
        y: Tensor = _Depthwise.apply(
            x.to(torch.get_autocast_dtype("cpu")), self.weight, self.stride[0], self.padding[0]
        )
        return y


class _Depthwise(torch.autograd.Function):
    """The convolution, with its slow gradients in float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight.to(x.dtype), None, stride, padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors

        def of(dtype: torch.dtype, *, to: int) -> Tensor:
            tensors = (one.to(dtype, memory_format=torch.channels_last) for one in (gradient, x, weight))
            sizes = [ctx.stride] * 2, [ctx.padding] * 2, [1, 1], False, [0, 0], len(weight)
            wanted = [to == index for index in range(3)]
            found: Tensor = torch.ops.aten.convolution_backward(*tensors, None, *sizes, wanted)[to]
            return found

        by_x, by_weight = ctx.needs_input_grad[:2]
        return (
            # At stride 1 this one is fast.
            of(x.dtype if ctx.stride == 1 else torch.float32, to=0).to(x.dtype) if by_x else None,
            of(torch.float32, to=1) if by_weight else None,
            None,
            None,
        )
