"""Networks that torch.compile builds anew for this machine."""

import os
import shutil
import sys
from importlib.util import find_spec

import numpy as np
import torch

from autosam.config import Config
from autosam.errors import ConfigError
from autosam.models.generator.maps import predict_maps
from autosam.models.generator.unet import Generator
from autosam.models.networks import Networks
from autosam.models.precision import autocast
from autosam.models.sam.interface import encode
from autosam.models.variants import image_size, parameter_device

_ADVICE = "leave --compile and decode.compile out"


def compile_networks(networks: Networks, config: Config) -> None:
    """Compile the generator and SAM's image encoder in place, where ``decode.compile`` asks for it.

    They see an empty tile at once, so that the compiler works before the first image: for minutes, where the
    networks are new to it. Torch keeps what it has compiled for the next time. The generator is compiled for tiles
    of any shape, and once more when several of them come in a batch. SAM's encoder always sees the same shape; its
    blocks are compiled one by one, as they are alike. The prompt encoder and the mask decoder stay as they are.
    Answers stay the same but for rounding.

    Parameters
    ----------
    networks : Networks
        In evaluation mode, on the device that they are to run on.
    config : Config
        Its size of tiles and its precision count, too.

    Raises
    ------
    ConfigError
        If there is no compiler for the device, or if it fails.
    """
    if not config.decode.compile:
        return
    sam, generator, encoder = networks.sam, networks.generator, networks.image_encoder
    size, precision = config.tiles.size or networks.tile_size, config.decode.precision
    device = parameter_device(networks.parts[0])
    check_compiler(device.type)
    # Slow, so only now.
    from torch._dynamo.exc import TorchDynamoException

    for block in () if encoder is None else encoder.blocks:
        block.compile(dynamic=False)
    if isinstance(generator, Generator):
        unet = generator.unet
        # Within a compiled call torch leaves a hook out that is set later, as `describe_tiles` sets one.
        unet.encoder.forward = torch.compile(unet.encoder.forward, dynamic=True)
        unet.decoder.compile(dynamic=True)
    try:
        if generator is not None:
            empty = np.zeros((size // generator.downsample,) * 2 + (3,), dtype=np.float32)
            predict_maps(generator, empty, tile_size=size, overlap=0.0, reduced=True, precision=precision)
        if sam is not None:
            with autocast(device, precision):
                encode(sam, np.zeros((image_size(sam), image_size(sam), 3), dtype=np.uint8))
    except TorchDynamoException as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(
            f"torch.compile cannot compile this model for {device} ({reason}); {_ADVICE}, or see to the compiler"
        ) from error


def check_compiler(kind: str) -> None:
    """Refuse a kind of device that torch.compile finds no compiler for: C++ for ``cpu``, Triton for ``cuda``.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if kind == "cpu":
        # Those that torch's inductor looks for.
        usual = {"win32": "cl", "darwin": "clang++"}.get(sys.platform, "g++")
        wanted = os.environ.get("CXX") or usual
        if shutil.which(wanted) is None:
            raise ConfigError(
                f"decode.compile wants a C++ compiler, and {wanted} is not there; install it, name another in the "
                f"environment variable CXX, or {_ADVICE}"
            )
    elif kind == "mps":
        raise ConfigError(f"decode.compile does not compile for a Mac's GPU; use --device cpu, or {_ADVICE}")
    elif kind in ("cuda", "xpu") and find_spec("triton") is None:
        raise ConfigError(
            f"decode.compile wants Triton for {kind}, and it is not there; install triton, or {_ADVICE}"
        )
