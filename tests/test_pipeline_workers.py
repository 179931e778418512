"""Tasks in real processes: what they answer, what one that is killed loses, and that none is left."""

import os
import signal
import threading
import time
import warnings
from contextlib import closing
from functools import partial

import pytest

from autosam.errors import AutosamWarning, InputError, ModelError, OutputError
from autosam.pipeline.failures import UnfinishedError, WorkersLostError
from autosam.pipeline.read_ahead import Sign
from autosam.pipeline.worker_process import inherited
from autosam.pipeline.workers import Workers


class Squares:
    """Squares numbers; notes in files which process has a task in work and which one it has written."""

    def __init__(self, folder):
        self.folder = folder

    def read(self, task):
        if task == "refused":
            raise InputError("it is no number")
        return task

    def work(self, task, read, tick):
        # Whole or not there: a process can be killed, and others look, at any time.
        note = self.folder / f"{task}.work.{os.getpid()}"
        note.write_text(str(os.getpid()), encoding="ascii")
        note.rename(self.folder / f"{task}.work")
        tick(0.5)
        if task == "full":
            wait_for(self.folder / "slow.work")
            raise OutputError("no room")
        if task == "slow":
            time.sleep(600)
        if task == "dies" and not (self.folder / "died").exists():
            (self.folder / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return read

    def write(self, task, read, made):
        if task == "written":
            time.sleep(1)
        (self.folder / f"{task}.done").touch()
        return made * made if isinstance(made, int) else os.environ["OMP_NUM_THREADS"]


def squares(folder):
    warnings.warn("a worker begins", AutosamWarning, stacklevel=1)
    return Squares(folder)


def broken():
    raise ModelError("the model is damaged")


def ends():
    os._exit(3)


@pytest.fixture
def run(tmp_path):
    """Run tasks in processes; gives the answers by task."""

    def run(*tasks, setups=None, told=None, coming=None):
        told = {} if told is None else told
        seen: set[object] = set()
        setups = setups or [partial(squares, tmp_path)] * 2
        with Workers(setups, threads=3) as workers:
            report = lambda task, answer, seconds: told.update({task: answer})  # noqa: E731
            running = workers.run(coming or iter(tasks), report, lambda task, share: seen.add((task, share)))
            with closing(running):
                for _ in running:
                    pass
            processes = [worker.process for worker in workers._workers]
        assert not any(process.is_alive() for process in processes)
        return told, seen

    return run


def wait_for(path):
    until = time.monotonic() + 300
    while not path.exists():
        assert time.monotonic() < until, path
        time.sleep(0.02)


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_answers_refusals_and_warnings_come_to_the_parent(run):
    with pytest.warns(AutosamWarning, match="a worker begins"):
        told, seen = run(*range(12), Sign.NONE, "refused", "threads")
    assert {task: told[task] for task in range(12)} == {task: task * task for task in range(12)}
    assert isinstance(told["refused"], InputError)
    assert str(told["refused"]) == "it is no number"
    assert told["threads"] == "3"
    assert "OMP_NUM_THREADS" not in os.environ or os.environ["OMP_NUM_THREADS"] != "3"
    assert {(task, share) for task in range(12) for share in (0.0, 0.5)} <= seen


@pytest.mark.filterwarnings("ignore::autosam.errors.AutosamWarning")
def test_a_killed_worker_loses_what_it_had_in_work_and_no_more(run):
    told, _ = run(0, 1, "dies", *range(2, 12))
    assert {task: told[task] for task in range(12)} == {task: task * task for task in range(12)}
    assert isinstance(told["dies"], UnfinishedError)
    assert "killed by signal 9" in str(told["dies"])


@pytest.mark.filterwarnings("ignore::autosam.errors.AutosamWarning")
def test_an_error_of_one_worker_ends_all(run, tmp_path):
    with pytest.raises(OutputError, match="no room"):
        run("slow", "full", *range(50))
    assert not is_alive(int((tmp_path / "slow.work").read_text(encoding="ascii")))


@pytest.mark.filterwarnings("ignore::autosam.errors.AutosamWarning")
def test_an_interrupt_writes_what_is_made_and_leaves_no_process(run, tmp_path):
    told: dict[object, object] = {}

    def tasks():
        yield "written"
        yield "slow"
        wait_for(tmp_path / "slow.work")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(setups=[partial(squares, tmp_path)], told=told, coming=tasks())
    assert list(told) == ["written"]
    assert (tmp_path / "written.done").exists()
    assert not is_alive(int((tmp_path / "slow.work").read_text(encoding="ascii")))


def test_workers_that_cannot_begin_are_one_error(run):
    with pytest.raises(ModelError, match="the model is damaged"):
        run(1, 2, setups=[broken] * 2)
    with pytest.raises(WorkersLostError, match="exit status 3"):
        run(1, 2, setups=[ends] * 2)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs masks of signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_until_a_process_has_started(number):
    def interrupt(*_):
        raise KeyboardInterrupt

    def start():
        with inherited(1):
            os.kill(os.getpid(), number)
            time.sleep(0.1)
            reached.append(number)

    before = signal.signal(number, interrupt)
    over, reached = threading.Event(), []
    # A thread that does not block the signal receives it in the place of the main one.
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            start()
        assert reached == [number]
        assert signal.getsignal(number) is interrupt
    finally:
        over.set()
        thread.join()
        signal.signal(number, before)
