"""Where tasks run: in this process, or in several on this machine. `pipeline.dask_cluster` has clusters."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from autosam.errors import AutosamError, InputError
from autosam.pipeline.batch_workers import threads_each
from autosam.pipeline.failures import UnfinishedError
from autosam.pipeline.workers import Workers

Task = TypeVar("Task")
Answer = TypeVar("Answer")

ATTEMPTS = 3
"""Times that a task is begun whose process dies."""


class TaskExecutor(AbstractContextManager["TaskExecutor"], Protocol):
    """Runs tasks somewhere. It is entered once for all passes of a run."""

    @property
    def workers(self) -> int:
        """How many tasks run at the same time."""

    def run(self, call: Callable[[Task], Answer], tasks: Iterable[Task]) -> Iterator[tuple[Task, Answer]]:
        """Call a function with every task, and give what it returns, in any order.

        Parameters
        ----------
        call : callable
            A function of a module, or a `functools.partial` of one, so that it can be sent.

        Raises
        ------
        AutosamError
            What a task raises, or if its process dies ``ATTEMPTS`` times.
        """


class InProcess:
    """Runs tasks here, one after the other, in their order."""

    workers = 1

    def __enter__(self) -> "InProcess":
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to end."""

    def run(self, call: Callable[[Task], Answer], tasks: Iterable[Task]) -> Iterator[tuple[Task, Answer]]:
        """Call a function with every task; see `TaskExecutor`."""
        for task in tasks:
            yield task, call(task)


class _Calls:
    """The steps of a worker whose tasks bring the function to call."""

    def read(self, task: tuple[Callable[[Any], Any], Any]) -> None:
        """Nothing is read ahead: a task reads slice by slice."""

    def work(self, task: tuple[Callable[[Any], Any], Any], read: None, tick: Callable[[float], None]) -> Any:
        call, of = task
        return call(of)

    def write(self, task: tuple[Callable[[Any], Any], Any], read: None, made: Any) -> Any:
        return made


class Processes:
    """Runs tasks in processes of this machine, each with its share of the cores.

    Parameters
    ----------
    workers : int
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: Workers[Any, Any] = Workers([_Calls] * workers, threads=threads_each(workers))

    def __enter__(self) -> "Processes":
        self._pool.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.__exit__(*error)

    def run(self, call: Callable[[Task], Answer], tasks: Iterable[Task]) -> Iterator[tuple[Task, Answer]]:
        """Call a function with every task; see `TaskExecutor`. A process that dies is replaced."""
        done: deque[tuple[Task, Answer]] = deque()
        failed: list[Task] = []
        last: InputError | None = None

        def report(task: tuple[Any, Task], answer: Any, _: float) -> None:
            nonlocal last
            if isinstance(answer, UnfinishedError):
                failed.append(task[1])
                last = answer
            elif isinstance(answer, InputError):
                raise answer
            else:
                done.append((task[1], answer))

        waiting = tasks
        for _ in range(ATTEMPTS):
            for _ in self._pool.run(((call, task) for task in waiting), report, lambda *_: None):
                while done:
                    yield done.popleft()
            yield from done
            done.clear()
            waiting, failed = failed, []
            if not waiting:
                return
        raise AutosamError(
            f"a task died {ATTEMPTS} times: {last}. If memory ran out, use fewer --workers, or a smaller "
            "volume.window"
        )
