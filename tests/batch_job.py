"""A process that segments a folder with networks that answer by rule: python batch_job.py IN OUT [SECONDS].

It waits before each image, and prints what became of it.
"""

import sys
import time
from pathlib import Path

import pytest
from fake_networks import BrightPixels, build_small_sam, use_component_sam

from autosam.config import load_config
from autosam.images import find_sources
from autosam.models.networks import Networks
from autosam.pipeline.batch import segment_batch
from autosam.pipeline.segmenter import Segmenter

WAIT = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Slow(Segmenter):
    """Waits before each image."""

    def segment(self, image, **options):
        tell("begins")
        time.sleep(WAIT)
        return super().segment(image, **options)


with pytest.MonkeyPatch.context() as patch:
    use_component_sam(patch)
    segmenter = Slow(Networks(build_small_sam(), BrightPixels()), load_config(), name="by rule")
    for outcome in segment_batch(find_sources([sys.argv[1]]), segmenter, Path(sys.argv[2])):
        tell(f"{outcome.source.name} {outcome.state}")
