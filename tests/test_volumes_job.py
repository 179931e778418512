"""Files of tasks are found again by a hash of all that they depend on."""

from dataclasses import replace

import pytest
from volume_job import rule_model

from autosam.images.stain_normalization import StainChange
from autosam.volumes.contrast import Contrast
from autosam.volumes.job import make_keys

CONTRAST = Contrast((0, 5), (1.0, 2.0), (200.0, 210.0))
STAIN = StainChange((0.1,) * 6, (0.2,) * 6)


def keys(*, volume="v", model="m", contrast=CONTRAST, zoom=1.0, **settings):
    return make_keys(
        volume=volume, model=model, settings=rule_model(**settings).settings, contrast=contrast, zoom=zoom
    )


def test_slabs_and_blocks_change_no_file():
    assert keys(slab=7, tile=1000) == keys()


@pytest.mark.parametrize(
    "other",
    [
        {"volume": "w"},
        {"model": "n"},
        {"zoom": 1.5},
        {"window": 128},
        {"overlap": 16},
        {"contrast": replace(CONTRAST, bright=(200.0, 211.0))},
        {"contrast": replace(CONTRAST, stain=STAIN)},
    ],
)
def test_what_tiles_show_changes_every_file(other):
    assert not set(keys(**other).values()) & set(keys().values())


@pytest.mark.parametrize("other", [{"link_iou": 0.3}, {"fill": "interpolate"}, {"min_size": 9}, {"seam": 0.4}])
def test_what_comes_after_tiles_keeps_their_files(other):
    assert keys(**other)["segment"] == keys()["segment"]
    assert keys(**other)["unite"] != keys()["unite"]


def test_another_version_takes_no_files_of_this_one(monkeypatch):
    before = keys()
    monkeypatch.setattr("autosam.volumes.job.__version__", "99.0")
    assert not set(keys().values()) & set(before.values())
