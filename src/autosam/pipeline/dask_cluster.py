"""Tasks on a cluster of dask, which the user has started."""

import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any, TypeVar

from autosam import __version__
from autosam.errors import AutosamError, ConfigError

Task = TypeVar("Task")
Answer = TypeVar("Answer")

AHEAD = 2
"""Tasks for each thread that are with the scheduler at the same time, so that it never holds a whole volume's."""

PATIENCE = "10s"
"""Time in which the scheduler has to answer."""

RETRIES = 2


class DaskCluster:
    """Runs tasks on the workers of a scheduler; see `volumes.executors.TaskExecutor`.

    Parameters
    ----------
    address : str
        Such as ``tcp://node17:8786``.
    folder : Path
        Where results lie: workers have to see it.

    Raises
    ------
    ConfigError
        If dask is not installed, the address has no port, nobody answers there, there is no worker, workers do
        not see the folder, or have another version of autosam.
    """

    def __init__(self, address: str, folder: Path) -> None:
        try:
            import distributed
        except ImportError:
            raise ConfigError(
                "--scheduler needs dask, which is not installed; pip install 'autosam[dask]', here and on workers"
            ) from None
        self._dask = distributed
        if not re.fullmatch(r"\w+://.+|.+:\d+", address):
            # dask would wait for half a minute to close what it never opened.
            raise ConfigError(
                f"--scheduler is {address!r}; wanted the address of a dask scheduler, such as tcp://node17:8786"
            )
        try:
            self._client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ConfigError(
                f"no dask scheduler answers at {address} ({reason}); start one with: dask scheduler"
            ) from None
        try:
            self._check(address, folder)
        except BaseException:
            self._client.close()
            raise

    def _check(self, address: str, folder: Path) -> None:
        try:
            told: dict[str, Any] = self._client.run(look_around, str(folder))
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"the workers of {address} lack autosam ({error}); install version {__version__} there"
            ) from None
        if not told:
            raise ConfigError(f"the scheduler at {address} has no worker; start one with: dask worker {address}")
        for worker, (version, sees) in sorted(told.items()):
            if version != __version__:
                raise ConfigError(
                    f"the worker {worker} has autosam {version}, and here is {__version__}; install one"
                )
            if not sees:
                raise ConfigError(
                    f"the worker {worker} does not see {folder}; choose an output on a file system that all share"
                )

    def __enter__(self) -> "DaskCluster":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @property
    def workers(self) -> int:
        """Threads of all workers that are there now."""
        return max(1, sum(int(threads) for threads in self._client.nthreads().values()))

    def run(
        self,
        call: Callable[[Task], Answer],
        tasks: Iterable[Task],
        *,
        lost: Callable[[Task, str], Answer] | None = None,
    ) -> Iterator[tuple[Task, Answer]]:
        """Call a function with every task; see `TaskExecutor`. Tasks of workers that die go to others.

        Parameters
        ----------
        lost : callable, optional
            Gives the answer for a task whose workers died again and again, of it and the reason; without it, that
            is an `AutosamError`.
        """
        from distributed.scheduler import KilledWorker

        waiting = iter(tasks)
        running = self._dask.as_completed(loop=self._client.loop)
        of: dict[Any, Task] = {}

        def submit() -> None:
            while len(of) < AHEAD * self.workers:
                for task in waiting:
                    future = self._client.submit(call, task, pure=False, retries=RETRIES)
                    of[future.key] = task
                    running.add(future)
                    break
                else:
                    return

        submit()
        while of:
            future = next(running)
            task = of.pop(future.key)
            try:
                answer = future.result()
            except KilledWorker as error:
                if lost is not None:
                    yield task, lost(task, " ".join(str(error).split()))
                    submit()
                    continue
                raise AutosamError(
                    f"workers died again and again: {error}. If memory ran out, give them more, or use a smaller "
                    "volume.window"
                ) from None
            except CancelledError as error:
                reason = " ".join(str(error).split()) or "no more is known"
                raise AutosamError(
                    f"the dask scheduler is gone, or has given up a task ({reason}); start it again and repeat "
                    "the command, which goes on where it stopped"
                ) from None
            future.release()
            yield task, answer
            submit()


def look_around(folder: str) -> tuple[str, bool]:
    """Give the version of autosam and whether a folder is there; called on workers."""
    return __version__, Path(folder).is_dir()
