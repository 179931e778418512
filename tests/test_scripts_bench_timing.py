"""Times of calls by a clock of our own, versions, and files that are whole."""

import json

import numpy as np
import pytest
from script_modules import load_script

bench_images = load_script("bench_images")
bench_timing = load_script("bench_timing")


class Clock:
    """A clock that a call moves on by the next of its steps."""

    def __init__(self, *steps: float) -> None:
        self.now, self.steps = 0.0, list(steps)

    def __call__(self) -> float:
        return self.now

    def work(self) -> None:
        self.now += self.steps.pop(0)


def test_the_least_of_the_repetitions_after_the_warm_up():
    clock = Clock(0.5, 3, 2, 4)
    assert bench_timing.least(clock.work, 3, clock=clock) == 2
    assert not clock.steps


def test_without_a_warm_up_the_first_call_counts():
    clock = Clock(0.5, 3)
    assert bench_timing.seconds_of(clock.work, 2, warm_up=False, clock=clock) == [0.5, 3]


def test_versions_of_what_is_installed():
    found = bench_timing.versions(["numpy", "no-such-package"])
    assert found["numpy"] == np.__version__
    assert set(found) == {"python", "numpy"}


def test_the_machine_is_named():
    machine = bench_timing.machine(2)
    assert machine["processor"]
    assert machine["threads"] == 2
    assert machine["cores"] >= 1


def test_json_is_renamed_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "a.json"
    bench_timing.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        bench_timing.write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize(("side", "count"), [(256, 64), (128, 3)])
def test_drawn_nuclei_are_bright_and_do_not_touch(side, count):
    image, labels = bench_images.nuclei(side, count)
    assert image.shape == labels.shape == (side, side)
    assert np.array_equal(np.unique(labels), np.arange(count + 1))
    assert image[labels > 0].min() > 40
    for axis in (0, 1):
        beside = np.stack([np.delete(labels, 0, axis), np.delete(labels, -1, axis)])
        assert (beside.min(0)[beside[0] != beside[1]] == 0).all()


def test_the_same_nuclei_every_time():
    assert np.array_equal(bench_images.nuclei(64, 4)[0], bench_images.nuclei(64, 4)[0])
