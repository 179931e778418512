"""Settings of all tests.

Networks as small as these gain little from a second thread, and where another program uses one of the cores, two
threads that wait for each other take minutes for what takes seconds.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

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


@pytest.fixture
def autosam(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the program in its own folder; gives exit status, stdout and stderr."""
    from autosam import cli

    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["autosam", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run
