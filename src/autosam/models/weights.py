"""SAM weights: read those that someone else trained, without running anything in them, and load them."""

from collections.abc import Mapping
from pathlib import Path

import torch
from segment_anything.modeling import Sam
from torch import Tensor
from torch.nn import functional as F

from autosam.errors import ModelError
from autosam.models.files.file_hash import check_sha256
from autosam.models.files.foreign_names import find_state_dict
from autosam.models.files.read_weights import read_weights
from autosam.models.files.strict import copy_tensors, list_some
from autosam.models.variants import Variant

_VARIANT_OF_WIDTH: dict[int, Variant] = {768: "vit_b", 1024: "vit_l", 1280: "vit_h", 192: "tiny"}


def load_state_dict_file(path: str | Path, sha256: str | None = None) -> dict[str, Tensor]:
    """Read the tensors of a `.pth`, `.pt`, `.ckpt`, `.bin` or `.safetensors` file; no code in it is run.

    Names and wrappers of other trainers are understood, see `find_state_dict`.

    Parameters
    ----------
    sha256 : str, optional
        The wanted hash; not checked by default.

    Returns
    -------
    dict of str to torch.Tensor
        On the CPU, in the file's types, by the names of the segment-anything package.

    Raises
    ------
    ModelError
        If the file is missing, has another hash, is cut short, holds Python objects besides tensors, or is no
        state dict.

    Warns
    -----
    AutosamWarning
        If the file holds another network or another SAM, which is left out.
    """
    path = Path(path)
    if sha256 is not None:
        check_sha256(path, sha256)
    return find_state_dict(path, read_weights(path))


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
        If the weights are of another variant, do not fit, are quantized or sparse, or hold NaN or infinity.

    References
    ----------
    Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021, section 3.2, for codes at another resolution.
    """
    found = detect_variant(state_dict)
    if found is not None and found != variant:
        raise ModelError(f"{source} holds {found}, the model is {variant}: set model.sam.variant={found}")
    own = sam.state_dict()
    strange = [
        name
        for name, tensor in state_dict.items()
        if tensor.layout != torch.strided
        or tensor.is_meta
        or (name in own and own[name].is_floating_point() and not tensor.is_floating_point())
    ]
    if strange:
        raise ModelError(
            f"{source} holds {list_some(strange)} that are no plain floating-point numbers (quantized, sparse or "
            "without values): give the weights that were quantized"
        )
    broken = [
        name
        for name, tensor in state_dict.items()
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())
    ]
    if broken:
        raise ModelError(
            f"{source} holds NaN or infinity in {list_some(broken)}: it is damaged, or its training diverged; "
            "give other weights"
        )
    copy_tensors(
        own,
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
