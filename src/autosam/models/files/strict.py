"""Tensors of a model file into what they belong to: all of them or none."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
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


def array_tensors(arrays: Any) -> dict[str, Tensor]:
    """Give the fields of a dataclass of arrays and numbers as tensors."""
    return {item.name: torch.from_numpy(np.array(getattr(arrays, item.name))) for item in fields(arrays)}


def tensor_arrays(kind: Any, tensors: Mapping[str, Tensor], *, what: str) -> dict[str, NDArray[Any]]:
    """Give tensors as arrays for the fields of a dataclass, which have to be there one and all.

    Raises
    ------
    ModelError
        If one is missing or unknown; the message begins with ``what``.
    """
    names = sorted(item.name for item in fields(kind))
    if sorted(tensors) != names:
        raise ModelError(f"{what} has the tensors {sorted(tensors)}, wanted {names}: get the model file again")
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def list_some(names: Iterable[str]) -> str:
    """Count names and show the first three.

    Examples
    --------
    >>> list_some("bdace")
    '5 (a, b, c, ...)'
    """
    ordered = sorted(names)
    return f"{len(ordered)} ({', '.join(ordered[:3])}{', ...' if len(ordered) > 3 else ''})"
