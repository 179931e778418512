"""The ground truth of a batch, paired by name."""

from pathlib import Path

import numpy as np
import pytest

from autosam.errors import InputError
from autosam.evaluation.truths import open_truths
from autosam.images import write_labels
from autosam.images.image_source import ImageSource

SOURCES = [ImageSource(Path(f"{name}.png")) for name in "ab"]
TWO = np.repeat(np.repeat([[1, 2], [0, 0]], 8, axis=0), 8, axis=1)
MASK = np.where(TWO == 1, 255, 0) + np.where(np.indices(TWO.shape)[0] > 13, 255, 0)


def test_names_pair_and_labels_are_read_as_they_are(tmp_path: Path) -> None:
    write_labels(tmp_path / "a_labels.tif", TWO)
    write_labels(tmp_path / "b_labels.tif", TWO * 300)
    truths = open_truths(str(tmp_path), SOURCES, components=False)
    np.testing.assert_array_equal(truths.of(SOURCES[1]), TWO * 300)
    assert truths.semantic == 0
    write_labels(tmp_path / "b_labels.tif", TWO * 301)
    assert open_truths(str(tmp_path), SOURCES, components=False).sha256 != truths.sha256


def test_one_file_for_one_image_and_semantic_masks(tmp_path: Path) -> None:
    write_labels(tmp_path / "liver.png", MASK)
    place = str(tmp_path / "liver.png")
    assert open_truths(place, SOURCES[:1], components=False).semantic == 1
    # Components of 64 and of 32 pixels: the smaller one is dust.
    found = open_truths(place, SOURCES[:1], components=True)
    assert found.semantic == 0
    np.testing.assert_array_equal(found.of(SOURCES[0]), TWO == 1)


def test_faults(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    write_labels(tmp_path / "t" / "a.tif", TWO)
    many = [ImageSource(Path(f"{number}.png")) for number in range(7)]
    with pytest.raises(InputError, match=r"no truth for b; wanted labels of the same names, such as b\.tif"):
        open_truths(str(tmp_path / "t"), SOURCES, components=False)
    with pytest.raises(InputError, match="no truth for 0, 1, 2, 3, 4 and 2 more"):
        open_truths(str(tmp_path / "t"), many, components=False)
    write_labels(tmp_path / "v.tif", np.stack([TWO] * 3))
    with pytest.raises(InputError, match=r"the truth of a in .*v\.tif has shape \(3, 16, 16\)"):
        open_truths(str(tmp_path / "v.tif"), SOURCES[:1], components=False)
