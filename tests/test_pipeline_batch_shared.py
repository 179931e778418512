"""Several processes, and killed ones, in one folder of results; what comes after them is asked in this process."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from batch_job import outcomes
from fake_networks import draw_ellipses

from autosam.images import read_labels

SPOTS, TRUTH = draw_ellipses((64, 64), [(18, 20, 9, 12), (45, 40, 10, 9)])
JOB = Path(__file__).with_name("batch_job.py")


def start(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, str(JOB), *map(str, arguments)], stdout=subprocess.PIPE, text=True, **options
    )


def finish(job):
    out, _ = job.communicate(timeout=600)
    assert job.returncode == 0
    return [line for line in out.splitlines() if line != "begins"]


def recorded(out):
    return json.loads((out / "autosam_run.json").read_text(encoding="utf-8"))["images"]


@pytest.fixture
def images(tmp_path):
    (tmp_path / "in").mkdir()
    for name in "abcdef":
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", SPOTS, photometric="minisblack")
    return tmp_path / "in"


def test_two_jobs_share_a_folder_and_keep_both_records(images, tmp_path):
    jobs = [start(images, tmp_path / "out", 0.2) for _ in range(2)]
    told = [dict(line.split() for line in finish(job)) for job in jobs]
    done = sorted(name for outcomes in told for name, state in outcomes.items() if state == "done")
    # Each image once, whoever did it.
    assert done == list("abcdef")
    assert all(set(outcomes) == set("abcdef") for outcomes in told)
    assert sorted(recorded(tmp_path / "out")) == list("abcdef")
    summary = (tmp_path / "out" / "summary.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[:3] for line in summary[1:]] == [[name, "done", "2"] for name in "abcdef"]
    assert not list((tmp_path / "out").glob(".*"))
    assert set(outcomes(str(images), str(tmp_path / "out"))) == {f"{name} skipped" for name in "abcdef"}


def test_a_killed_job_loses_its_image_only(images, tmp_path):
    out = tmp_path / "out"
    job = start(images, out, 0.3)
    told = iter(job.stdout)
    assert "c done\n" in told
    assert "begins\n" in told
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    job.stdout.close()
    assert list((out / ".autosam_claims").iterdir())
    told = dict(line.split() for line in outcomes(str(images), str(out)))
    assert set(told) == set("abcdef")
    assert set(told.values()) <= {"done", "skipped"}
    assert sorted(recorded(out)) == list("abcdef")
    assert all(np.array_equal(read_labels(out / f"{name}_labels.tif") > 0, TRUTH > 0) for name in "abcdef")
    assert not list(out.glob(".*"))


def test_ctrl_c_leaves_no_claim_and_a_record_of_all_that_is_done(images, tmp_path):
    out = tmp_path / "out"
    job = start(images, out, 0.3, stderr=subprocess.DEVNULL)
    for line in job.stdout:
        if line == "b done\n":
            break
    os.kill(job.pid, signal.SIGINT)
    job.wait(600)
    job.stdout.close()
    assert not list(out.glob(".*"))
    assert set(recorded(out)) >= {"a", "b"}
    told = dict(line.split() for line in outcomes(str(images), str(out)))
    assert {told["a"], told["b"]} == {"skipped"}
    assert told["f"] == "done"


def test_a_full_disk_stops_in_one_line_and_leaves_no_part(images, tmp_path):
    out = tmp_path / "out"

    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2500, 2500))

    big = np.random.default_rng(0).integers(0, 200, (64, 64)).astype(np.uint8)
    tifffile.imwrite(images / "b.tif", big, photometric="minisblack")
    job = start(images, out, stderr=subprocess.PIPE, preexec_fn=small_files)
    _, err = job.communicate(timeout=600)
    assert job.returncode == 1
    assert "OutputError" in err.splitlines()[-1]
    assert "cannot be written: File too large" in err.splitlines()[-1]
    # Nothing half written, and no claim.
    assert not list(out.glob("b_*"))
    assert not list(out.glob(".*"))
    told = dict(line.split() for line in outcomes(str(images), str(out)))
    assert told["b"] == "done"
