"""Tasks in this process, in several, and on a dask cluster: the same answers, also when workers die."""

import os
import pickle
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from volume_job import ArraySource, draw_balls, read_labels_at, rule_model

from autosam.errors import AutosamError, ConfigError, InputError
from autosam.pipeline.dask_cluster import DaskCluster
from autosam.volumes.executors import InProcess, Processes
from autosam.volumes.open_volume import open_volume
from autosam.volumes.segment_volume import VolumeOptions, segment_source
from autosam.volumes.source_arrays import spool

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def square(number):
    return number**2


def die_once(folder, number):
    """Kill the own process the first time that it gets this number."""
    mark = Path(folder) / str(number)
    if number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def always_die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(number):
    raise InputError("slice 7 holds NaN; repair it")


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=None
    ) as made:
        yield made


def test_a_task_gives_its_answer():
    with InProcess() as here:
        assert list(here.run(square, range(4))) == [(0, 0), (1, 1), (2, 4), (3, 9)]


def test_processes_give_every_answer_in_every_pass():
    with Processes(2) as processes:
        assert dict(processes.run(square, range(7))) == {n: n**2 for n in range(7)}
        assert dict(processes.run(square, [5])) == {5: 25}
        assert dict(processes.run(square, [])) == {}
        with pytest.raises(InputError, match="slice 7 holds NaN; repair it"):
            list(processes.run(refuse, [1]))


def test_a_process_that_dies_is_replaced_and_its_task_done_again(tmp_path):
    with Processes(2) as processes:
        found = list(processes.run(partial(die_once, str(tmp_path)), range(6)))
    assert sorted(found) == [(n, n) for n in range(6)]
    assert (tmp_path / "3").exists()


def test_a_task_that_always_kills_its_process_ends_the_run(monkeypatch):
    # Each time costs the start of a process.
    monkeypatch.setattr("autosam.volumes.executors.ATTEMPTS", 2)
    with Processes(1) as processes, pytest.raises(AutosamError, match=r"died 2 times: .*fewer --workers"):
        list(processes.run(always_die, [1]))


def test_the_error_of_a_task_comes_back():
    with InProcess() as here, pytest.raises(InputError, match="slice 7 holds NaN; repair it"):
        list(here.run(refuse, [1]))


@pytest.mark.slow
def test_dask_gives_every_answer_also_when_a_worker_dies(cluster, tmp_path):
    with DaskCluster(cluster.scheduler_address, tmp_path) as dask:
        assert dask.workers == 2
        assert dict(dask.run(square, range(30))) == {n: n**2 for n in range(30)}
        assert sorted(dask.run(partial(die_once, str(tmp_path)), range(6))) == [(n, n) for n in range(6)]
        with pytest.raises(InputError, match="slice 7 holds NaN; repair it"):
            list(dask.run(refuse, [1]))


@pytest.mark.slow
def test_a_wide_volume_through_dask_has_the_labels_of_one_process(cluster, tmp_path):
    volume, _ = draw_balls((6, 100, 512), 30, seed=4)
    for name, scheduler in (("here", None), ("dask", cluster.scheduler_address)):
        segment_source(
            ArraySource(volume),
            tmp_path / f"{name}.zarr",
            rule_model(),
            VolumeOptions(device="cpu", scheduler=scheduler),
            model_sha256="rule",
        )
    assert np.array_equal(read_labels_at(tmp_path / "here.zarr"), read_labels_at(tmp_path / "dask.zarr"))


@pytest.mark.parametrize("address", ["wrong", "node17", ""])
def test_an_address_without_a_port_is_refused_at_once(address, tmp_path):
    pytest.importorskip("distributed")
    with pytest.raises(ConfigError, match=r"--scheduler is .*wanted the address .*tcp://node17:8786"):
        DaskCluster(address, tmp_path)


@pytest.mark.slow
def test_a_scheduler_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("autosam.pipeline.dask_cluster.PATIENCE", "1s")
    with pytest.raises(
        ConfigError, match=r"no dask scheduler answers at tcp://127.0.0.1:9 .*dask scheduler"
    ) as caught:
        DaskCluster("tcp://127.0.0.1:9", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_workers_have_to_see_the_folder(cluster, tmp_path):
    with pytest.raises(ConfigError, match=r"does not see .*file system that all share"):
        DaskCluster(cluster.scheduler_address, tmp_path / "not_there")


def test_without_dask_the_line_says_what_to_install(tmp_path, monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "distributed":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"pip install 'autosam\[dask\]'"):
        DaskCluster("tcp://127.0.0.1:9", tmp_path)


@pytest.mark.slow
def test_a_task_that_the_cluster_gives_up_is_one_line(cluster, tmp_path):
    with DaskCluster(cluster.scheduler_address, tmp_path) as dask:
        # As the client does when it loses the scheduler.
        submit = dask._client.submit

        def given_up(*arguments, **options):
            future = submit(*arguments, **options)
            future.cancel(force=True)
            return future

        dask._client.submit = given_up
        with pytest.raises(AutosamError, match=r"scheduler is gone.* goes on where it stopped") as caught:
            list(dask.run(square, range(3)))
    assert "\n" not in str(caught.value)


def test_an_array_is_written_once_for_processes_and_not_sent_with_every_task(tmp_path):
    volume, _ = draw_balls((6, 60, 70), 5, seed=6)
    source = open_volume(np.ascontiguousarray(volume))
    spooled = spool(source, tmp_path)
    assert len(pickle.dumps(spooled)) < 2000 < volume.nbytes
    assert np.array_equal(spooled.read(3, (slice(5, 40), slice(0, 70))), volume[3, 5:40])
    assert spooled.fingerprint == source.fingerprint
    (written,) = tmp_path.iterdir()
    before = written.stat().st_mtime_ns
    assert spool(source, tmp_path).fingerprint == spooled.fingerprint
    assert written.stat().st_mtime_ns == before
    tifffile.imwrite(tmp_path / "raw.tif", volume, photometric="minisblack")
    of_file = open_volume(tmp_path / "raw.tif")
    assert spool(of_file, tmp_path) is of_file
