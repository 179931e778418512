"""Names that other trainers give to SAM's tensors → those of the segment-anything package."""

import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from autosam.errors import AutosamWarning, ModelError
from autosam.models.files.strict import list_some

WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "sam",
    "weights",
    "params",
    "teacher",
    "ema",
    "ema_model",
    "model_ema",
    "student",
    "module",
)
"""Names under which training checkpoints of others keep the state dict; of several SAMs the first is taken."""

DEPTH = 3
"""How many dictionaries deep a state dict is looked for."""

BUFFERS = {"pixel_mean", "pixel_std"}
"""Buffers that every SAM has by itself: some trainers save them."""

# What torch.compile and data-parallel training put into names, at any depth; no part of SAM is called so.
_SHELLS = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|module)\.")
_PARTS = ("image_encoder", "prompt_encoder", "mask_decoder", "vision_encoder", "shared_image_embedding")
_OWN = tuple(f"{part}." for part in _PARTS)
_AVERAGE = re.compile(r"(?:^|[._])ema(?:[._]|$)|averaged?", re.IGNORECASE)
_PART = re.compile(rf"((?:[^.]+\.)*?)(?:{'|'.join(_PARTS)})\.")

_HUGGING_FACE = [
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^shared_image_embedding\.positional_embedding", "prompt_encoder.shared_embedding.positional_embedding"),
        (r"^vision_encoder\.", "image_encoder."),
        (r"^image_encoder\.layers\.", "image_encoder.blocks."),
        (r"\.patch_embed\.projection\.", ".patch_embed.proj."),
        (r"\.neck\.conv1\.", ".neck.0."),
        (r"\.neck\.layer_norm1\.", ".neck.1."),
        (r"\.neck\.conv2\.", ".neck.2."),
        (r"\.neck\.layer_norm2\.", ".neck.3."),
        (r"\.mask_embed\.conv1\.", ".mask_downscaling.0."),
        (r"\.mask_embed\.layer_norm1\.", ".mask_downscaling.1."),
        (r"\.mask_embed\.conv2\.", ".mask_downscaling.3."),
        (r"\.mask_embed\.layer_norm2\.", ".mask_downscaling.4."),
        (r"\.mask_embed\.conv3\.", ".mask_downscaling.6."),
        (r"\.point_embed\.", ".point_embeddings."),
        (r"\.shared_embedding\.positional_embedding", ".pe_layer.positional_encoding_gaussian_matrix"),
        (r"\.upscale_conv1\.", ".output_upscaling.0."),
        (r"\.upscale_layer_norm\.", ".output_upscaling.1."),
        (r"\.upscale_conv2\.", ".output_upscaling.3."),
        # Three layers: the first and the last have names, and the one between is number 0.
        (r"(\.iou_prediction_head|\.output_hypernetworks_mlps\.\d+)\.layers\.0\.", r"\1.layers.1."),
        (r"(\.iou_prediction_head|\.output_hypernetworks_mlps\.\d+)\.proj_in\.", r"\1.layers.0."),
        (r"(\.iou_prediction_head|\.output_hypernetworks_mlps\.\d+)\.proj_out\.", r"\1.layers.2."),
        (r"\.layer_norm", ".norm"),
    )
]
"""The mapping of transformers' `convert_sam_to_hf.py`, turned around; a pattern sees what those above it made."""


def find_state_dict(path: Path, content: Any) -> dict[str, Tensor]:
    """Find a SAM's tensors in what a trainer saved, by the names of the segment-anything package.

    The state dict may be wrapped (see `WRAPPERS`). One prefix that SAM's names share is taken off, whatever it is
    called. Buffers that SAM has by itself, and numbers and other values beside the tensors, are left out; a
    dictionary of tensors beside them, such as micro-sam's decoder, is left out with a warning. So is an average of
    the weights (``ema_model.``) beside the weights. Names of Hugging
    Face's SamModel are translated. A state dict of another network keeps its names.

    Raises
    ------
    ModelError
        If there is no state dict, or there are several SAMs in it.
    """
    found = list(_with_sam(content, "", DEPTH))
    if not found:
        return _other_network(path, content)
    place, state = _chosen(path, found)
    beside = content if place else state
    sams = {place for place, _ in found}
    left_out = sorted(str(name) for name, value in beside.items() if name not in sams and _is_state_dict(value))
    if left_out:
        # Of another network: the decoder that micro-sam trains beside SAM, an optimizer's averages.
        warnings.warn(f"{path}: {', '.join(left_out)} beside SAM is left out", AutosamWarning, stacklevel=2)
    tensors = {
        _SHELLS.sub("", name): value
        for name, value in state.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    prefix, averages = _prefix(path, sorted({match[1] for name in tensors if (match := _PART.match(name))}))
    tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    tensors = {name: tensor for name, tensor in tensors.items() if name not in BUFFERS}
    # Counters of a metric or an average, and a whole average of the weights.
    tensors = {
        name: tensor
        for name, tensor in tensors.items()
        if (tensor.ndim or name.startswith(_OWN)) and not name.startswith(averages)
    }
    if any(name.startswith(("vision_encoder.", "shared_image_embedding.")) for name in tensors):
        tensors = {from_hugging_face(name): tensor for name, tensor in tensors.items()}
    return tensors


def from_hugging_face(name: str) -> str:
    """Translate a tensor's name from transformers' SamModel.

    Examples
    --------
    >>> from_hugging_face("vision_encoder.layers.0.layer_norm1.weight")
    'image_encoder.blocks.0.norm1.weight'
    """
    for pattern, own in _HUGGING_FACE:
        name = pattern.sub(own, name)
    return name


def _with_sam(content: Any, place: str, depth: int) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Give the dictionaries that hold tensors with names of SAM, and their places; none inside another one."""
    if not isinstance(content, Mapping):
        return
    if any(
        isinstance(value, Tensor) and isinstance(name, str) and _PART.match(_SHELLS.sub("", name))
        for name, value in content.items()
    ):
        yield place, content
    elif depth:
        for name, value in content.items():
            yield from _with_sam(value, f"{place}.{name}" if place else str(name), depth - 1)


def _prefix(path: Path, prefixes: list[str]) -> tuple[str, tuple[str, ...]]:
    """Give what the names of one SAM begin with, and those of averages of its weights beside it."""
    averages = tuple(prefix for prefix in prefixes if _AVERAGE.search(prefix))
    own = [prefix for prefix in prefixes if prefix not in averages]
    if len(prefixes) == 1:
        return prefixes[0], ()
    named = ", ".join(repr(prefix) for prefix in prefixes)
    if len(own) != 1 or not own[0]:
        raise ModelError(f"weight file {path} holds several SAMs, their names begin with {named}: save one alone")
    warnings.warn(f"{path} holds several SAMs ({named}): {own[0]!r} is taken", AutosamWarning, stacklevel=3)
    return own[0], averages


def _chosen(path: Path, found: list[tuple[str, Mapping[Any, Any]]]) -> tuple[str, Mapping[Any, Any]]:
    if len(found) == 1:
        return found[0]
    places = [place for place, _ in found]
    known = [place for wrapper in WRAPPERS for place in places if place.rpartition(".")[2] == wrapper]
    if not known:
        raise ModelError(
            f"weight file {path} holds several SAMs, under {', '.join(places)}: save one of them alone"
        )
    others = ", ".join(place for place in places if place != known[0])
    told = f"{path} holds several SAMs: {known[0]} is taken, not {others}"
    warnings.warn(told, AutosamWarning, stacklevel=3)
    return found[places.index(known[0])]


def _other_network(path: Path, content: Any) -> dict[str, Tensor]:
    """Give a state dict without any name of SAM, at the top or under a known name."""
    wrapped = [content]
    if isinstance(content, Mapping):
        wrapped = [content, *(content.get(key) for key in WRAPPERS)]
    for state in wrapped:
        if _is_state_dict(state):
            return {name: value for name, value in state.items() if isinstance(value, Tensor)}
    kind = type(content).__name__
    held = f" with {list_some(map(str, content))}" if isinstance(content, Mapping) and content else ""
    raise ModelError(
        f"weight file {path} holds no state dict but a {kind}{held}: wanted tensors by name, "
        f"at the top or under a name such as {', '.join(WRAPPERS[:4])}"
    )


def _is_state_dict(value: object) -> bool:
    """Whether a value holds tensors by name, and nothing else but numbers."""
    return (
        isinstance(value, Mapping)
        and any(isinstance(entry, Tensor) for entry in value.values())
        and all(isinstance(name, str) for name in value)
        and not any(isinstance(entry, Mapping | list | tuple) for entry in value.values())
    )
