"""A store without a disk: what the tests of the data tools look through."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.data.manifest import Item, Manifest
from autosam.data.store import Store
from autosam.errors import InputError

Pair = tuple[NDArray[Any], NDArray[Any] | None]


class Memory:
    """A backend that calls a function for each read."""

    def __init__(self, pair: Callable[[Item], Pair]) -> None:
        self.pair = pair
        self.reads = 0

    def read(self, item: Item, position: int, kind: str) -> NDArray[Any]:
        self.reads += 1
        image, labels = self.pair(item)
        if kind == "labels" and labels is None:
            raise InputError(f"{item.name} cannot be read.")
        return image if kind == "image" else labels

    def replace_manifest(self, text: str) -> None:
        pass


def memory_store(items: list[Item], pair: Callable[[Item], Pair], *, ids: str = "2d") -> Store:
    return Store(Path("memory.h5"), Manifest("test", ids=ids, items=tuple(items)), Memory(pair))


def store_of(pairs: dict[str, Pair], *, splits: dict[str, str] | None = None, volume: str | None = None, ids="2d"):
    """Make a store of arrays; with a volume, the pairs are its slices."""
    items = [
        Item(
            name,
            "",
            volume,
            None if volume is None else z,
            image.shape,
            image.dtype.name,
            None if labels is None else labels.dtype.name,
            (splits or {}).get(name),
        )
        for z, (name, (image, labels)) in enumerate(pairs.items())
    ]
    return memory_store(items, lambda item: pairs[item.name], ids=ids)


def write_store(path: Path, pairs: dict[str, Pair], *, volume: str | None = None, group: str = "") -> Path:
    """Write a real store."""
    writer = Store.create(path, Manifest("test", voxel_size_nm=(50, 5, 5)))
    for z, (name, pair) in enumerate(pairs.items()):
        writer.append(name, lambda pair=pair: pair, volume=volume, z=None if volume is None else z, group=group)
    writer.finish()
    return path


def noise(seed: int, shape: tuple[int, ...] = (64, 64)) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def square(shape: tuple[int, int] = (64, 64), first: int = 10, last: int = 30) -> NDArray[np.uint8]:
    labels = np.zeros(shape, np.uint8)
    labels[first:last, first:last] = 1
    return labels
