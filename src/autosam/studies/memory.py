"""Networks that remember their answers, so that a change of thresholds does not run them again."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor, nn

from autosam.models.networks import Networks

BUDGET = 2**31
"""Most bytes of answers that are kept in the computer's memory; the longest unused ones go first."""


@contextmanager
def remembered(networks: Networks, *, budget: int = BUDGET) -> Iterator[None]:
    """Let networks answer from memory what they were asked before, bit for bit.

    The generator, SAM's image encoder and its mask decoder remember their answers to the same tensors. What is
    left to compute after a change of the merge settings is the way from mask logits to labels.

    Parameters
    ----------
    networks : Networks
        In evaluation mode, so that the same question has the same answer. Afterwards they are as they were.
    budget : int
        Most bytes of answers kept.
    """
    modules: list[nn.Module] = [] if networks.generator is None else [networks.generator]
    if networks.sam is not None:
        modules += [networks.sam.image_encoder, networks.sam.mask_decoder]
    memory = _Memory(budget)
    for number, module in enumerate(modules):
        # On the instance, where it goes before the class's own.
        module.__dict__["forward"] = memory.wrap(number, module.forward)
    try:
        yield
    finally:
        for module in modules:
            del module.__dict__["forward"]


class _Memory:
    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._held = 0
        self._answers: OrderedDict[bytes, Any] = OrderedDict()

    def wrap(self, number: int, forward: Any) -> Any:
        def answer(*args: Any, **kwargs: Any) -> Any:
            key = _key((number, *args, *sorted(kwargs.items())))
            device = next((value.device for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
            if key in self._answers:
                self._answers.move_to_end(key)
                return _moved(self._answers[key], device)
            result = forward(*args, **kwargs)
            self._keep(key, _moved(result, torch.device("cpu")))
            return result

        return answer

    def _keep(self, key: bytes, result: Any) -> None:
        self._answers[key] = result
        self._held += _size(result)
        while self._held > self._budget:
            _, oldest = self._answers.popitem(last=False)
            self._held -= _size(oldest)


def _key(values: tuple[Any, ...]) -> bytes:
    digest = sha256(f"{torch.is_autocast_enabled('cpu')} {torch.is_autocast_enabled('cuda')}".encode())
    for value in values:
        _digest(digest, value)
    return digest.digest()


def _digest(digest: Any, value: Any) -> None:
    if isinstance(value, Tensor):
        digest.update(f"{tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    elif isinstance(value, tuple | list):
        for entry in value:
            _digest(digest, entry)
    else:
        digest.update(repr(value).encode())


def _moved(result: Any, device: torch.device | None) -> Any:
    if isinstance(result, Tensor):
        # A copy, so that nobody who changes an answer changes what is remembered.
        return result.detach().to(device, copy=True)
    return type(result)(_moved(entry, device) for entry in result)


def _size(result: Any) -> int:
    return result.nbytes if isinstance(result, Tensor) else sum(map(_size, result))
