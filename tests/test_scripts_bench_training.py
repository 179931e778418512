"""The script that says where a training run's time goes: every second has one part, and a run has all of them."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from autosam.training import joint, loop

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import bench_training
from bench_training import Stopwatch

SMALL = (
    "model.sam.image_size=64",
    "model.sam.base=null",
    "model.sam.encoder=full",
    "model.sam.prompt_encoder=full",
    "model.generator.decoder_channels=[8, 8, 8, 8]",
    "training.batch_size=2",
    "training.predicted_between=[0, 0]",
    "training.predicted_share=1",
)


@pytest.fixture
def stopwatch() -> Stopwatch:
    """Count as a second what lies between two looks at the clock."""
    ticks: Iterator[float] = iter(range(1000))
    return Stopwatch(lambda: next(ticks), first="start")


def test_a_second_has_the_innermost_part(stopwatch: Stopwatch) -> None:
    with stopwatch.part("step", whole=False), stopwatch.part("encoder", whole=False):
        pass
    stopwatch.charge()
    # Each is ended once, and the step goes on after its encoder.
    assert stopwatch.seconds == {"start": 2, "step": 2, "encoder": 1}


def test_nothing_is_told_of_what_is_whole(stopwatch: Stopwatch) -> None:
    with stopwatch.part("validation", whole=True), stopwatch.part("encoder", whole=False):
        pass
    with stopwatch.part("encoder", whole=False):
        pass
    assert stopwatch.seconds == {"start": 2, "validation": 3, "encoder": 1}


def test_the_backward_pass_is_divided_where_a_gradient_is_known(stopwatch: Stopwatch) -> None:
    encode: Callable[..., Any] = stopwatch.timed(torch.exp, "encoder", True, "encoder backward")
    features = encode(torch.zeros(1, requires_grad=True))
    with stopwatch.part("decoder backward", whole=False):
        (features * 2).sum().backward()
    assert stopwatch.seconds == {"start": 2, "encoder": 1, "decoder backward": 1, "encoder backward": 1}
    # What is frozen has no such part.
    assert not encode(torch.zeros(1)).requires_grad


def test_a_run_has_every_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, settings = tmp_path / "training.json", [word for one in SMALL for word in ("--set", one)]
    before = loop.take_step, joint.encode_tokens
    given = ["--steps", "2", "--side", "96", "--threads", "1", "--json", str(path), *settings]
    assert bench_training.main(given) == 0
    assert (loop.take_step, joint.encode_tokens) == before
    found = json.loads(path.read_text())
    names = {"generator", "encoder", "decoder"}
    names |= {f"{name} backward" for name in names} | {"generator's loss", "prompts", "augmentation"}
    names |= {"optimizer and the rest", "start and files", "validation", "statistics"}
    assert set(found["seconds"]) == names
    assert all(seconds > 0 for seconds in found["seconds"].values())
    assert found["total"] == pytest.approx(sum(found["seconds"].values()))
    assert found["step"] < found["total"] / 2
    out = capsys.readouterr().out
    assert all(name in out for name in names)
