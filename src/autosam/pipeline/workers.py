"""Tasks in several processes, each with its own networks, and one that hands them out and hears of them."""

import multiprocessing
import signal
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic

from autosam.errors import AutosamError, AutosamWarning
from autosam.pipeline.failures import UnfinishedError, WorkersLostError
from autosam.pipeline.read_ahead import Answer, Report, Sign, Task
from autosam.pipeline.worker_process import Setup, inherited, work_for

PATIENCE = 60.0
"""Seconds that workers have at an interrupt to write what is made."""

LEAVE = 5.0
"""Seconds that a process has to be gone after its last word."""


@dataclass(eq=False)
class _Worker(Generic[Task]):
    """One process, the tasks that it has not answered, by number, and those of them that it has begun."""

    number: int
    process: BaseProcess
    connection: Connection
    tasks: dict[int, Task] = field(default_factory=dict)
    begun: list[int] = field(default_factory=list)
    ready: bool = False
    hearing: bool = False


class Workers(Generic[Task, Answer]):
    """Runs tasks in processes of their own, each of which reads ahead and writes behind as `Overlap` does.

    Use it with ``with``: the processes start there, and none is left at its end. They are spawned, so a script
    that uses them must not begin its work at import, but below ``if __name__ == "__main__":``.

    Parameters
    ----------
    setups : sequence of callable
        One for each process; makes its steps there.
    threads : int
        Of each process.
    """

    def __init__(self, setups: Sequence[Setup[Task, Any, Any, Answer]], *, threads: int) -> None:
        self._setups = setups
        self._threads = threads
        self._workers: list[_Worker[Task]] = []
        self._report: Report[Task, Answer] | None = None
        self._next = 0

    def __enter__(self) -> "Workers[Task, Answer]":
        try:
            for number in range(len(self._setups)):
                self._start(number)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def run(
        self,
        tasks: Iterator[Task | Sign],
        report: Report[Task, Answer],
        watch: Callable[[Task, float], None],
    ) -> Generator[None, None, None]:
        """Do tasks, each in the first process that is free; see `Overlap.take`, but reports come in any order.

        Raises
        ------
        AutosamError
            The error of a worker that ends the run.
        WorkersLostError
            If all workers end before they are ready.
        """
        self._report = report
        pool: deque[Task] = deque()
        ended = False
        while True:
            # A few more than are in work show early that the end is near.
            while not ended and len(pool) < len(self._setups):
                task = next(tasks, Sign.END)
                if isinstance(task, Sign):
                    ended = task is Sign.END
                    if not ended:
                        yield
                else:
                    pool.append(task)
            self._hand_out(pool, ended=ended)
            if ended and not pool and not any(worker.tasks for worker in self._workers):
                return
            for worker in self._heard():
                self._hear(worker, pool, watch)
            yield

    def _hand_out(self, pool: deque[Task], *, ended: bool) -> None:
        """Give each worker a task, and one to read ahead unless another may be free earlier."""
        for worker in sorted(self._workers, key=lambda one: len(one.tasks)):
            wants = not worker.tasks or (not ended and len(worker.tasks) == len(worker.begun))
            if pool and wants:
                number, task = self._next, pool.popleft()
                self._next += 1
                worker.tasks[number] = task
                # A worker that is gone is seen when it is heard.
                with suppress(OSError):
                    worker.connection.send((number, task))

    def _heard(self) -> list[_Worker[Task]]:
        ready = wait([worker.connection for worker in self._workers])
        return [worker for worker in self._workers if worker.connection in ready]

    def _hear(self, worker: _Worker[Task], pool: deque[Task], watch: Callable[[Task, float], None]) -> None:
        """Take a message of a worker, or see that it has ended."""
        try:
            worker.hearing = True
            kind, *told = worker.connection.recv()
            worker.hearing = False
        except (EOFError, OSError):
            self._lost(worker, pool)
            return
        if kind == "at":
            number, share = told
            if number not in worker.begun:
                worker.begun.append(number)
            watch(worker.tasks[number], share)
        else:
            self._take(worker, kind, told)

    def _take(self, worker: _Worker[Task], kind: str, told: list[Any]) -> None:
        if kind == "ready":
            worker.ready = True
        elif kind == "done":
            number, answer, seconds = told
            task = worker.tasks.pop(number)
            if number in worker.begun:
                worker.begun.remove(number)
            assert self._report is not None
            self._report(task, answer, seconds)
        elif kind == "warning":
            text, own = told
            warnings.warn(text, AutosamWarning if own else UserWarning, stacklevel=2)
        elif kind == "failed":
            raise told[0]

    def _lost(self, worker: _Worker[Task], pool: deque[Task]) -> None:
        """Fail what a lost worker had in work, give back what else it had, and start another in its place."""
        self._end(worker)
        self._workers.remove(worker)
        numbers = list(worker.tasks)
        if worker.ready and numbers:
            # That of its tasks which it began last, or was reading.
            victim = worker.begun[-1] if worker.begun else numbers[0]
            numbers.remove(victim)
            assert self._report is not None
            error = UnfinishedError(
                f"process {worker.process.pid}, which worked on it, has ended ({_ending(worker.process)}); repeat "
                "the command to do it again"
            )
            self._report(worker.tasks[victim], error, 0.0)
        pool.extendleft(worker.tasks[number] for number in reversed(numbers))
        if worker.ready:
            self._start(worker.number)
        elif not self._workers:
            raise WorkersLostError(
                f"the process that was to do the work ended as it began ({_ending(worker.process)}); use fewer "
                "--workers, or a script that begins its work below if __name__ == '__main__'"
            )

    def _start(self, number: int) -> None:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(
            target=work_for, args=(there, self._setups[number], self._threads), name="autosam-worker", daemon=True
        )
        worker: _Worker[Task] = _Worker(number, process, here)
        self._workers.append(worker)
        # Its end is closed here in any case: only then is it seen when the process is gone.
        with inherited(self._threads), there:
            process.start()

    def _stop(self) -> None:
        """End all workers; what they have made is written and reported."""
        try:
            until = time.monotonic() + PATIENCE
            for worker in self._workers:
                if worker.process.pid is not None:
                    worker.process.terminate()
            for worker in self._workers:
                self._listen(worker, until)
        finally:
            for worker in self._workers:
                self._end(worker)
            self._workers.clear()

    def _listen(self, worker: _Worker[Task], until: float) -> None:
        """Hear the last reports of a worker."""
        with suppress(EOFError, OSError):
            # The rest of a message whose reading was interrupted is none.
            while not worker.hearing and worker.connection.poll(max(until - time.monotonic(), 0)):
                kind, *told = worker.connection.recv()
                if kind == "done":
                    # The error that ended the run is the one to tell.
                    with suppress(AutosamError):
                        self._take(worker, kind, told)

    def _end(self, worker: _Worker[Task]) -> None:
        worker.connection.close()
        if worker.process.pid is not None:
            worker.process.join(LEAVE)
            worker.process.kill()
            worker.process.join()


def _ending(process: BaseProcess) -> str:
    code = process.exitcode
    if code is not None and code < 0:
        memory = ", as systems do that run out of memory" if -code == getattr(signal, "SIGKILL", None) else ""
        return f"killed by signal {-code}{memory}"
    return f"exit status {code}"
