"""Settings of all tests.

Networks as small as these gain little from a second thread, and where another program uses one of the cores, two
threads that wait for each other take minutes for what takes seconds.
"""

import os
from collections.abc import Iterator

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded, and for the processes that tests start

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def few_windows() -> Iterator[None]:
    """Describe few training images at the end of each training, which otherwise takes half of a short one."""
    from autosam.training.fit import fit_novelty

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_novelty, "WINDOWS", 24)
        yield
