"""Pyramids of labels: every block's most frequent id, whatever the regions are."""

from collections import Counter
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from autosam.volumes.ome_zarr_output import LabelStore
from autosam.volumes.pyramid import take_modes, write_level
from autosam.volumes.store_levels import Size, plan_levels


def slowly(labels: np.ndarray, factors: list[int]) -> np.ndarray:
    shape = [-(-n // factor) for n, factor in zip(labels.shape, factors, strict=True)]
    out = np.zeros(shape, labels.dtype)
    for at in product(*map(range, shape)):
        block = labels[tuple(slice(i * f, i * f + f) for i, f in zip(at, factors, strict=True))]
        counts = Counter(block.ravel().tolist())
        out[at] = min(counts, key=lambda label: (-counts[label], label == 0, label))
    return out


def counted(labels: np.ndarray, factors: list[int]) -> np.ndarray:
    """Do the same by counting each id in all blocks."""
    margins = [(0, -n % factor) for n, factor in zip(labels.shape, factors, strict=True)]
    valid = np.pad(np.ones(labels.shape, bool), margins)
    padded = np.pad(labels, margins)
    sides = [side for n, factor in zip(padded.shape, factors, strict=True) for side in (n // factor, factor)]
    ids = [*np.unique(labels[labels > 0]).tolist(), 0]
    votes = [((padded == label) & valid).reshape(sides).sum(axis=(1, 3, 5)) for label in ids]
    return np.array(ids, labels.dtype)[np.argmax(votes, axis=0)]


@pytest.mark.parametrize("factors", [[1, 2, 2], [2, 2, 2], [2, 1, 1], [1, 1, 1]])
@pytest.mark.parametrize("shape", [(4, 6, 8), (5, 7, 9), (1, 1, 1), (1, 3, 2)])
@pytest.mark.parametrize("top", [2, 5, 2**40])
def test_each_block_becomes_its_most_frequent_id(shape: Size, factors: list[int], top: int) -> None:
    rng = np.random.default_rng(top + sum(shape))
    labels = (rng.integers(0, 4, shape) * (top // 3)).astype(np.uint64)
    again = take_modes(labels, factors)
    assert again.dtype == labels.dtype
    np.testing.assert_array_equal(again, slowly(labels, factors))
    np.testing.assert_array_equal(again, counted(labels, factors))


def test_ties_by_hand() -> None:
    def mode(*ids: int) -> int:
        return int(take_modes(np.array(ids).reshape(2, 2, 2), [2, 2, 2]).item())

    assert mode(0, 0, 0, 0, 9, 9, 9, 9) == 9
    assert mode(0, 0, 0, 9, 9, 9, 4, 4) == 9
    assert mode(9, 9, 9, 4, 4, 4, 0, 0) == 4
    assert mode(0, 0, 0, 0, 0, 9, 9, 9) == 0
    assert mode(1, 2, 3, 4, 5, 6, 7, 8) == 1


def made(folder: Path, labels: np.ndarray, region: Size, version: str = "0.5") -> LabelStore:
    size = (30.0, 8.0, 8.0)
    levels = plan_levels(labels.shape, size, chunk=(4, 32, 32), region=region)
    folder.mkdir()
    store = LabelStore(folder / "labels.zarr", folder / "written", "<u2", levels, size, version)  # type: ignore[arg-type]
    store.create({})
    for place in store.regions():
        store.write(place, labels[place])
    return store


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_levels_follow_from_the_labels_alone(tmp_path: Path, version: str) -> None:
    rng = np.random.default_rng(1)
    labels = np.kron(rng.integers(0, 50, (4, 3, 41)), np.ones((3, 31, 29), int))[:11, :70, :1150].astype(np.uint16)
    expected: list[np.ndarray] = [labels]
    stores = [
        made(tmp_path / "a", labels, (4, 64, 64), version),
        made(tmp_path / "b", labels, (8, 256, 320), version),
    ]
    factors = [level.factors for level in stores[0].levels]
    assert factors == [(1, 1, 1), (1, 2, 2), (1, 4, 4), (2, 8, 8)]
    for finer, coarser in pairwise(factors):
        expected.append(counted(expected[-1], [b // a for a, b in zip(finer, coarser, strict=True)]))
    for store in stores:
        for level in range(1, len(store.levels)):
            for region in reversed(store.regions(level)):
                write_level(store, region, level)
                assert store.is_written(region, level)
            whole = tuple(slice(0, n) for n in store.levels[level].shape)
            np.testing.assert_array_equal(store.read(whole, level), expected[level])  # type: ignore[arg-type]
