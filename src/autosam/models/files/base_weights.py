"""Weights that a SAM starts from: published ones, or the SAM of a model that autosam trained."""

from pathlib import Path

from torch import Tensor

from autosam.errors import ModelError
from autosam.models.files.checkpoint import split_parts
from autosam.models.files.sam_weights import load_state_dict_file
from autosam.models.files.zoo import BASES, BUNDLED, base_weights, home, resolve_model


def find_base(base: str, *, beside: Path | None = None) -> Path:
    """Find base weights: published or bundled ones by name, otherwise a file.

    Parameters
    ----------
    base : str
        A name in `zoo.BASES` or `zoo.BUNDLED`, or a path.
    beside : Path, optional
        A model file that the base may have moved with.

    Returns
    -------
    Path
        An existing file.

    Raises
    ------
    ModelError
        If there is none; the message lists the places and names.
    """
    if base in BASES:
        return base_weights(base)
    if base in BUNDLED:
        return resolve_model(base)
    places = [Path(base), *([] if beside is None else [beside.parent / Path(base).name]), home() / Path(base).name]
    places = list(dict.fromkeys(places))
    for place in places:
        if place.is_file():
            return place
    raise ModelError(
        f"the base weights {base} are not at {' or '.join(map(str, places))}, and neither published weights nor a "
        f"bundled model are named so ({', '.join((*BASES, *BUNDLED))}); put the file at one of these places"
    )


def base_state(path: Path, *, sha256: str | None = None) -> dict[str, Tensor]:
    """Read a SAM's weights: a published file, or the SAM inside a model of autosam's own.

    Returns
    -------
    dict of str to Tensor
        With the names of the segment-anything package, in float32.

    Raises
    ------
    ModelError
        As `weights.load_state_dict_file`, and if it is a model without a whole SAM in it.
    """
    state = load_state_dict_file(path, sha256=sha256)
    parts = split_parts(state)
    # Nobody else's file has these parts: its names begin with SAM's own.
    if not {"generator", "adapter", "decoder", "prompts"} & parts.keys():
        return {name: _as_float32(tensor) for name, tensor in state.items()}
    if "sam" not in parts:
        raise ModelError(
            f"{path} is a model without a whole SAM in it ({', '.join(sorted(parts))}), so it cannot be a base; "
            "give the base that it was trained on"
        )
    return {name: _as_float32(tensor) for name, tensor in parts["sam"].items()}


def _as_float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
