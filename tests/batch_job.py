"""A process that segments a folder with networks that answer by rule: python batch_job.py IN OUT [SECONDS].

It waits before each image, and prints what became of it.
"""

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_networks import BrightPixels, build_small_sam, use_component_sam

from autosam.config import load_config
from autosam.images import find_sources
from autosam.models.networks import Networks
from autosam.pipeline.batch import segment_batch
from autosam.pipeline.segmenter import Segmenter


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Slow(Segmenter):
    """Waits before each image."""

    wait = 0.0

    def segment(self, image, **options):
        tell("begins")
        time.sleep(self.wait)
        return super().segment(image, **options)


def main(folder: str, out: str, seconds: str = "0") -> None:
    # Where the tests run in the background of a shell, it is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for line in outcomes(folder, out, seconds):
        tell(line)


def outcomes(folder: str, out: str, seconds: str = "0") -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        use_component_sam(patch)
        segmenter = Slow(Networks(build_small_sam(), BrightPixels()), load_config(), name="by rule")
        segmenter.wait = float(seconds)
        for outcome in segment_batch(find_sources([folder]), segmenter, Path(out)):
            yield f"{outcome.source.name} {outcome.state}"


# pytest imports this file, too, to look for doctests.
if __name__ == "__main__":
    main(*sys.argv[1:])
