"""Devices, and the number format that they compute in."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal, get_args

import torch

from autosam.errors import ConfigError

Precision = Literal["auto", "float32", "bfloat16", "float16"]

DeviceType = Literal["cpu", "cuda", "mps", "xpu"]
KINDS: tuple[DeviceType, ...] = get_args(DeviceType)
"""Devices that compute; torch knows more names, among them some without any memory behind them."""


def choose_device(name: str) -> torch.device:
    """Find a device: ``auto`` is an NVIDIA GPU where there is one, otherwise that of a Mac, otherwise the CPU.

    Raises
    ------
    ConfigError
        If the name is unknown or this machine has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if name.partition(":")[0] not in KINDS:
        raise ConfigError(
            f"device {name!r} is unknown; choose auto, {', '.join(KINDS)}, or one of several as cuda:1"
        )
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise ConfigError(
            f"device {name!r} cannot be used ({reason}); try --device cpu or --device auto"
        ) from error
    return device


def use_bfloat16(device: torch.device, precision: Precision) -> bool:
    """Tell whether to compute in bfloat16; ``auto`` says yes where the hardware multiplies it."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # On a CPU without the instructions bfloat16 is emulated, and many times slower than float32.
    supported: Callable[[], bool] | None = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return device.type == "cpu" and supported is not None and bool(supported())


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[None]:
    """Open a context in which matrix products and convolutions run in the chosen precision."""
    context: AbstractContextManager[None] = torch.autocast(
        device.type, dtype=torch.bfloat16, enabled=use_bfloat16(device, precision)
    )
    return context
