"""Tiles of a volume are segmented, or it is said in one line why not."""

import numpy as np
import pytest
from volume_job import ArraySource, draw_balls, rule_model

from autosam.pipeline.failures import DeviceLostError, MemoryShortError
from autosam.pipeline.segmenter import Segmenter
from autosam.volumes.segment_volume import VolumeOptions, segment_source


@pytest.mark.parametrize(
    ("cause", "wanted", "line"),
    [
        (MemoryError("9 GB"), MemoryShortError, r"more memory .* \(9 GB\); use fewer --workers"),
        (RuntimeError("CUDA error: gone"), DeviceLostError, "the GPU has stopped working"),
    ],
)
def test_a_machine_that_falls_short_is_one_line_and_the_run_goes_on_later(
    tmp_path, monkeypatch, cause, wanted, line
):
    volume, truth = draw_balls((4, 60, 60), 3, seed=3)

    def run():
        options = VolumeOptions(device="cpu")
        return segment_source(
            ArraySource(volume), tmp_path / "out.zarr", rule_model(), options, model_sha256="rule"
        )

    def fall_short(*_, **__):
        raise cause

    monkeypatch.setattr(Segmenter, "segment", fall_short)
    with pytest.raises(wanted, match=line) as caught:
        run()
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert run().instances == len(np.unique(truth)) - 1
