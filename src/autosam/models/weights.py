"""Published SAM weights: read a file that someone else wrote, without running anything in it, and load it."""

import hashlib
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from segment_anything.modeling import Sam
from torch import Tensor
from torch.nn import functional as F

from autosam.errors import ModelError
from autosam.models.files.strict import copy_tensors, list_some
from autosam.models.variants import Variant

WRAPPERS = ("model", "model_state", "model_state_dict", "state_dict")
"""Names under which training checkpoints of others (MedSAM, micro-sam, Lightning) keep the state dict."""

PREFIXES = ("module.", "sam.")
"""Prefixes that data-parallel training and micro-sam put before every name."""

_VARIANT_OF_WIDTH: dict[int, Variant] = {768: "vit_b", 1024: "vit_l", 1280: "vit_h", 192: "tiny"}
# What torch's restricted unpickler raises on damaged bytes depends on where the damage is.
_DAMAGE = (RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError, OSError, AssertionError)


def file_sha256(path: str | Path) -> str:
    """Hash a file's bytes; gives 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_state_dict_file(path: str | Path, sha256: str | None = None) -> dict[str, Tensor]:
    """Read the tensors of a `.pth`, `.pt` or `.safetensors` file; no code in it is run.

    A training checkpoint is unwrapped: where the file's dictionary has one of the keys in `WRAPPERS` with a
    dictionary of tensors under it, that is the state dict. Then each of `PREFIXES` that all names begin with is
    taken off.

    Parameters
    ----------
    sha256 : str, optional
        The wanted hash; not checked by default.

    Returns
    -------
    dict of str to torch.Tensor
        On the CPU, in the file's types.

    Raises
    ------
    ModelError
        If the file is missing, has another hash, is cut short, holds Python objects besides tensors, or is no
        state dict.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ModelError(f"weight file {path} {what}: wanted a .pth, .pt or .safetensors file")
    if sha256 is not None and (found := file_sha256(path)) != sha256.lower():
        raise ModelError(
            f"weight file {path} has sha256 {found}, wanted {sha256.lower()}: "
            "it is damaged or another file; get it again"
        )
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    return _unwrapped(path, content)


def detect_variant(state_dict: Mapping[str, Tensor]) -> Variant | None:
    """Tell which SAM a state dict belongs to by the width of its position embedding; None if that is unknown."""
    embedding = state_dict.get("image_encoder.pos_embed")
    if embedding is None or embedding.ndim != 4:
        return None
    return _VARIANT_OF_WIDTH.get(embedding.shape[-1])


def load_sam_weights(sam: Sam, state_dict: Mapping[str, Tensor], *, variant: Variant, source: str | Path) -> None:
    """Copy weights into a SAM without adapters, strictly; nothing is changed on an error.

    Only the position codes may be those of another image size: they are resampled.

    Parameters
    ----------
    sam : Sam
        As `build_sam` builds it.
    state_dict : mapping of str to torch.Tensor
        As `load_state_dict_file` gives it.
    variant : {"vit_b", "vit_l", "vit_h", "tiny"}
        The variant that `sam` was built as.
    source : str or pathlib.Path
        Name of the weights in messages.

    Raises
    ------
    ModelError
        If the weights are of another variant or do not fit.

    References
    ----------
    Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021, section 3.2, for codes at another resolution.
    """
    found = detect_variant(state_dict)
    if found is not None and found != variant:
        raise ModelError(f"{source} holds {found}, the model is {variant}: set model.sam.variant={found}")
    copy_tensors(
        sam.state_dict(),
        {**state_dict, **_resampled_positions(sam, state_dict)},
        what=f"{source} does not hold the weights of SAM {variant}",
        advice="give weights of this architecture, with the names of the segment-anything package",
    )


def _resampled_positions(sam: Sam, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Resample the position codes whose length follows from the image size, where theirs is another one.

    Those are the absolute codes and the relative codes of blocks with global attention; those of windows stay.
    """
    own = sam.state_dict()
    axes = {"image_encoder.pos_embed": 3}
    for number, block in enumerate(sam.image_encoder.blocks):
        if block.window_size == 0:
            axes |= {f"image_encoder.blocks.{number}.attn.rel_pos_{axis}": 1 for axis in "hw"}
    resampled = {}
    for name, width in axes.items():
        wanted, given = own[name].shape, state_dict.get(name)
        if given is None or given.shape == wanted:
            continue
        if given.ndim != len(wanted) or given.shape[width] != wanted[width]:
            continue
        if width == 3:
            planes = given.float().permute(0, 3, 1, 2)
            planes = F.interpolate(planes, wanted[1:3], mode="bicubic", antialias=True)
            resampled[name] = planes.permute(0, 2, 3, 1)
        else:
            # As segment_anything's own get_rel_pos does it.
            resampled[name] = F.interpolate(given.float().T[None], wanted[0], mode="linear")[0].T
    return resampled


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"weight file {path} is damaged, cut short or not a safetensors file ({error}): get it again"
        ) from error


def _read_torch(path: Path) -> Any:
    with path.open("rb") as file:
        start = file.read(2)
    zipped = start == b"PK"
    if not zipped and start[:1] != b"\x80":
        raise ModelError(f"weight file {path} is not a file that torch.save wrote: wanted a .pth state dict")
    damaged = f"weight file {path} is damaged or cut short: get it again"
    if zipped and not zipfile.is_zipfile(path):
        raise ModelError(damaged)
    try:
        with warnings.catch_warnings():
            # A pickle of another protocol: what matters is whether it loads, and that is reported below.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch 2.2 says "Unsupported class", later versions "GLOBAL".
        named = re.search(r"(?:GLOBAL|Unsupported class) ([\w.]+)", str(error))
        if named is None:
            raise ModelError(
                f"weight file {path} is refused: it is damaged or holds something besides tensors; "
                "get it again, or save its state dict alone"
            ) from error
        raise ModelError(
            f"weight file {path} is refused: it holds Python objects besides tensors ({named[1]}), and "
            "reading those can run code; save its state dict alone, or as .safetensors"
        ) from error
    except (*_DAMAGE, struct.error) as error:
        raise ModelError(damaged) from error


def _unwrapped(path: Path, content: Any) -> dict[str, Tensor]:
    if isinstance(content, Mapping):
        for key in WRAPPERS:
            if _is_state_dict(content.get(key)):
                content = content[key]
                break
    if not _is_state_dict(content):
        kind = type(content).__name__
        held = f" with {list_some(map(str, content))}" if isinstance(content, Mapping) and content else ""
        raise ModelError(
            f"weight file {path} holds no state dict but a {kind}{held}: wanted tensors by name, "
            f"at the top or under one of {', '.join(WRAPPERS)}"
        )
    state_dict = dict(content)
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state_dict):
            state_dict = {name.removeprefix(prefix): tensor for name, tensor in state_dict.items()}
    return state_dict


def _is_state_dict(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items())
    )
