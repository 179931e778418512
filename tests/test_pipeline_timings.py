"""Where the time went: seconds by stage, whoever adds them."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from fake_networks import BrightPixels, build_small_sam

from autosam.config import load_config
from autosam.models.networks import Networks
from autosam.pipeline import timings as module
from autosam.pipeline.segmenter import Segmenter
from autosam.pipeline.timings import STAGES, Timed, Timings, add_up, timed


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(at=0.0)
    monkeypatch.setattr(module.time, "perf_counter", lambda: now.at)
    return now


def test_seconds_by_hand_in_the_order_of_the_stages(clock):
    timings = Timings()
    assert timings.seconds == {}
    for stage, took in (("write", 0.5), ("read", 2.0), ("write", 1.0)):
        with timings.stage(stage):
            clock.at += took
    assert list(timings.seconds.items()) == [("read", 2.0), ("write", 1.5)]


def test_no_second_counts_twice(clock):
    timings = Timings()
    with timings.stage("decode"):
        clock.at += 1
        with timings.stage("encode", within="decode"):
            clock.at += 4
        clock.at += 2
    assert timings.seconds == {"encode": 4, "decode": 3}


def test_a_stage_that_fails_counts_too(clock):
    timings = Timings()

    def fail():
        clock.at += 3
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"), timings.stage("read"):
        fail()
    assert timings.seconds == {"read": 3}


def test_threads_add_to_one():
    timings = Timings()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: timings.add("read", 1), range(400)))
    assert timings.seconds == {"read": 400}


def test_a_method_tells_its_time_to_its_own_timings(clock):
    class Work(Timed):
        @timed("merge")
        def work(self, seconds: float, *, more: float) -> float:
            clock.at += seconds + more
            return clock.at

    one, other = Work(), Timings()
    assert one.work(1, more=2) == 3
    assert one.with_timings(other).work(4, more=0) == 7
    assert (one.timings.seconds, other.seconds) == ({"merge": 3}, {"merge": 4})


def test_sums_of_images_keep_stages_that_are_not_known():
    assert add_up([]) == {}
    total = add_up([{"write": 1.0, "later": 5.0}, {"read": 2.0, "write": 0.5}])
    assert list(total.items()) == [("read", 2.0), ("write", 1.5), ("later", 5.0)]


def test_each_step_of_a_segmenter_is_a_stage():
    networks = Networks(build_small_sam(), BrightPixels())
    image = np.zeros((60, 60), np.uint8)
    image[20:40, 20:40] = 200
    subject = Segmenter(networks, load_config(overrides=["images.diameter=20"]))
    subject.segment(image)
    steps = {"view", "find_zoom", "predict", "propose", "encode", "decode", "merge"}
    assert set(subject.timings.seconds) == steps <= set(STAGES)
    # Known, the zoom is not searched for; without SAM nothing is encoded.
    other = Timings()
    alone = subject.with_settings(load_config(overrides=["decode.sam=false"])).with_timings(other)
    alone.segment(image, zoom=1.0)
    assert set(other.seconds) == steps - {"find_zoom", "encode"}
