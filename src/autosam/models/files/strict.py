"""Copying saved tensors into a part of a model: all of them or none."""

from collections.abc import Mapping

import torch
from torch import Tensor

from autosam.errors import ModelError


def copy_tensors(
    own: Mapping[str, Tensor], given: Mapping[str, Tensor], *, what: str, wants: str, names: str, shapes: str
) -> None:
    """Copy tensors by name, strictly; nothing is changed on an error.

    Parameters
    ----------
    own : mapping of str to Tensor
        The part's tensors, sharing its memory.
    given : mapping of str to Tensor
        What to copy into them.
    what, wants : str
        For messages: whose tensors came, and what they are to go into.
    names, shapes : str
        Advice where names, or shapes, differ.

    Raises
    ------
    ModelError
        If a tensor is missing, unknown or of another shape.
    """
    missing, unknown = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
    if missing or unknown:
        raise ModelError(
            f"{what}: {len(given)} tensors, {wants} wants {len(own)} ({len(missing)} missing, "
            f"{len(unknown)} unknown, first {(missing + unknown)[0]}): {names}"
        )
    for name, tensor in own.items():
        if tensor.shape != given[name].shape:
            raise ModelError(
                f"{what}: {name} has shape {tuple(given[name].shape)}, {wants} wants {tuple(tensor.shape)}: "
                f"{shapes}"
            )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(given[name])
