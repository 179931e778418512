"""Copying saved tensors into a part of a model: all of them or none."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from autosam.errors import ModelError


def copy_tensors(own: Mapping[str, Tensor], given: Mapping[str, Tensor], *, what: str, advice: str) -> None:
    """Copy tensors by name, strictly; nothing is changed on an error.

    Parameters
    ----------
    own : mapping of str to Tensor
        The tensors of a part of a model, sharing its memory.
    given : mapping of str to Tensor
        The values to copy into them.
    what, advice : str
        Beginning and end of an error's message: what does not fit, and what to do about it.

    Raises
    ------
    ModelError
        If a tensor is missing, unknown or of another shape.
    """
    faults = {"missing": own.keys() - given.keys(), "unknown": given.keys() - own.keys()}
    listed = [f"{list_some(names)} {fault}" for fault, names in faults.items() if names]
    if listed:
        raise ModelError(f"{what}: of {len(own)} tensors, {'; '.join(listed)}: {advice}")
    misfits = [name for name, tensor in own.items() if tensor.shape != given[name].shape]
    if misfits:
        name = misfits[0]
        raise ModelError(
            f"{what}: {list_some(misfits)} of another shape ({name} is {tuple(given[name].shape)}, wanted "
            f"{tuple(own[name].shape)}): {advice}"
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(given[name])


def list_some(names: Iterable[str]) -> str:
    """Count names and show the first three.

    Examples
    --------
    >>> list_some("bdace")
    '5 (a, b, c, ...)'
    """
    ordered = sorted(names)
    return f"{len(ordered)} ({', '.join(ordered[:3])}{', ...' if len(ordered) > 3 else ''})"
