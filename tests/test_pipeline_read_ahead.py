"""Tasks that overlap: what runs beside what, in which order, and what an error or an interrupt leaves."""

import threading
from contextlib import closing

import pytest

from autosam.errors import InputError, OutputError
from autosam.pipeline.read_ahead import Overlap, Sign


class Steps:
    """Notes what begins and ends; a step of a task fails or waits where a test says so."""

    def __init__(self, **faults):
        self.faults = faults
        self.noted: list[str] = []
        self.gates: dict[str, threading.Event] = {}

    def _step(self, step, task):
        self.noted.append(f"{step} {task}")
        if (gate := self.gates.get(f"{step} {task}")) is not None:
            assert gate.wait(60)
        if (error := self.faults.get(f"{step}_{task}")) is not None:
            raise error
        self.noted.append(f"{step} {task} ends")

    def read(self, task):
        self._step("read", task)
        return task * 10

    def work(self, task, read, tick):
        assert threading.current_thread() is threading.main_thread()
        assert read == task * 10
        self._step("work", task)
        tick(1.0)
        return task * 100

    def write(self, task, read, made):
        assert (read, made) == (task * 10, task * 100)
        self._step("write", task)
        return task * 1000


def run(steps, tasks, told=None):
    told = [] if told is None else told
    watched: list[tuple[int, float]] = []
    report = lambda task, answer, seconds: told.append((task, answer))  # noqa: E731
    with closing(Overlap(steps).run(iter(tasks), report, lambda *one: watched.append(one))) as running:
        for _ in running:
            pass
    return told, watched


def no_threads():
    return not [one for one in threading.enumerate() if one.name == "autosam-step"]


def test_answers_come_in_order_and_no_thread_is_left():
    told, watched = run(Steps(), [1, Sign.NONE, 2, 3])
    assert told == [(1, 1000), (2, 2000), (3, 3000)]
    assert watched == [(task, share) for task in (1, 2, 3) for share in (0.0, 1.0)]
    assert no_threads()
    assert run(Steps(), []) == ([], [])


def test_the_next_is_read_and_the_last_written_during_the_work():
    steps = Steps()
    # Each waits for the other: it would wait forever if they came one after the other.
    steps.gates = {"write 1": threading.Event(), "read 3": threading.Event()}
    whole = steps.work

    def work(task, read, tick):
        if task == 2:
            while not {"write 1", "read 3"} <= set(steps.noted):
                pass
            assert "read 3 ends" not in steps.noted
            for gate in steps.gates.values():
                gate.set()
        return whole(task, read, tick)

    steps.work = work
    assert [answer for _, answer in run(steps, [1, 2, 3, 4])[0]] == [1000, 2000, 3000, 4000]


def test_two_tasks_beside_the_one_in_work_are_in_memory():
    steps, alive, most = Steps(), set(), []
    whole_read, whole_write = steps.read, steps.write

    def read(task):
        alive.add(task)
        most.append(len(alive))
        return whole_read(task)

    def write(task, read, made):
        answer = whole_write(task, read, made)
        alive.discard(task)
        return answer

    steps.read, steps.write = read, write
    run(steps, range(1, 20))
    assert max(most) <= 3


@pytest.mark.parametrize("step", ["read", "work", "write"])
def test_a_task_that_fails_fails_alone_and_in_its_turn(step):
    error = InputError("no")
    told, _ = run(Steps(**{f"{step}_2": error}), [1, 2, 3])
    assert told == [(1, 1000), (2, error), (3, 3000)]


@pytest.mark.parametrize("step", ["read", "work", "write"])
def test_another_error_ends_the_run_and_keeps_what_is_done(step):
    told: list[tuple[int, object]] = []
    with pytest.raises(OutputError, match="full"):
        run(Steps(**{f"{step}_2": OutputError("full")}), [1, 2, 3, 4], told)
    assert told == [(1, 1000)]
    assert no_threads()


def test_an_interrupt_writes_what_is_made_to_its_end():
    told: list[tuple[int, object]] = []
    steps = Steps(work_2=KeyboardInterrupt())
    steps.gates["write 1"] = threading.Event()
    threading.Timer(0.2, steps.gates["write 1"].set).start()
    with pytest.raises(KeyboardInterrupt):
        run(steps, [1, 2, 3, 4], told)
    assert told == [(1, 1000)]
    assert no_threads()
    assert not any(note.startswith(("write 2", "work 3", "read 4")) for note in steps.noted)


def test_leaving_early_writes_what_is_made_to_its_end():
    steps = Steps()
    told: list[int] = []
    running = Overlap(steps).run(iter([1, 2, 3]), lambda task, *_: told.append(task), lambda *_: None)
    next(running)
    running.close()
    assert told == [1]
    assert no_threads()


def test_a_task_that_is_not_there_yet_is_waited_for_only_with_nothing_to_do():
    coming = [1, Sign.LATER, 2, Sign.END]
    waited: list[bool] = []

    def take(waiting):
        waited.append(waiting)
        assert not (waiting and coming[0] is Sign.LATER)
        return coming.pop(0)

    told: list[int] = []
    for _ in Overlap(Steps()).take(take, lambda task, *_: told.append(task), lambda *_: None):
        pass
    assert told == [1, 2]
    # The first, one beside it that is not there, one while the first is written, and the end.
    assert waited == [True, False, False, False]
