"""The books of a batch: which image is claimed, skipped, done or failed, and what the run record says of it."""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from autosam.errors import InputError
from autosam.images.write import remove_unfinished
from autosam.pipeline.claim_holder import Holder
from autosam.pipeline.claims import Claims
from autosam.pipeline.failures import UnfinishedError, naming, opens
from autosam.pipeline.finished import Comparison, ProtectedError, check_replaceable, compare, is_complete
from autosam.pipeline.identity import Stamps, origin_of
from autosam.pipeline.image_steps import ImageAnswer, ImageTask
from autosam.pipeline.outputs import AnySource, BatchOptions, ImageOutcome, Outputs, result_name
from autosam.pipeline.own_files import remove_own
from autosam.pipeline.read_ahead import Report, Sign
from autosam.pipeline.record import RunRecord

Watch = Callable[[AnySource, float], None]
"""Told an image in work, and the share of it that is done."""


class Executor(Protocol):
    """What does the tasks of a batch: `read_ahead.Overlap` in this process, `workers.Workers` in several."""

    def __enter__(self) -> object:
        """Get ready for work."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object, /) -> None:
        """End what was begun; threads and processes too."""

    def run(
        self,
        tasks: Iterator[ImageTask | Sign],
        report: Report[ImageTask, ImageAnswer],
        watch: Callable[[ImageTask, float], None],
    ) -> Generator[None, None, None]:
        """Do them, and report each; see `Overlap.run`."""


@dataclass(frozen=True)
class _Begun:
    """An image in work: where its file lay and what it looked like before it was read."""

    known: dict[str, str]
    changed: bool


@dataclass
class Bookkeeping:
    """The books of a batch; see `segment_batch`.

    They are kept in one thread of one process, whoever does the work, so that claims and record have one order.

    Parameters
    ----------
    keep_pixels : bool
        Give a task the pixels that had to be read to see whether an image has changed; other processes read them
        themselves.
    """

    out: Path
    options: BatchOptions
    claims: Claims
    record: RunRecord
    watch: Watch
    keep_pixels: bool = True
    stamps: Stamps = field(default_factory=Stamps)
    _begun: dict[str, _Begun] = field(default_factory=dict)
    _ended: list[str] = field(default_factory=list)
    _order: deque[str | ImageOutcome] = field(default_factory=deque)
    _outcomes: dict[str, ImageOutcome] = field(default_factory=dict)

    def go_through(
        self,
        images: Iterable[tuple[AnySource, str | None]],
        executor: Executor,
        held: Callable[[AnySource, Holder], ImageOutcome | None],
    ) -> Iterator[ImageOutcome]:
        """Let all images be done, and give their outcomes in order.

        Parameters
        ----------
        images : iterable of (source, str or None)
            Each with the fault of its name (`name_faults`).
        held : callable
            Says what becomes of an image that another process has claimed; None gives no outcome.
        """
        tasks = self._tasks(images, held)
        running = executor.run(tasks, self._end, lambda task, share: self.watch(task.source, share))
        # At an interrupt it ends its work before the record is closed.
        with closing(running):
            for _ in running:
                yield from self._ready()
        yield from self._ready()

    def write(self) -> None:
        """Write the record, and give free what is in it."""
        self.record.write()
        for name in self._ended.copy():
            self._release(name)

    def _tasks(
        self,
        images: Iterable[tuple[AnySource, str | None]],
        held: Callable[[AnySource, Holder], ImageOutcome | None],
    ) -> Iterator[ImageTask | Sign]:
        for source, fault in images:
            became: ImageTask | ImageOutcome | Holder | None
            became = self._begin(source) if fault is None else ImageOutcome(source, "failed", message=fault)
            if isinstance(became, Holder):
                became = held(source, became)
            if became is not None:
                self._order.append(became.name if isinstance(became, ImageTask) else became)
            yield became if isinstance(became, ImageTask) else Sign.NONE

    def _ready(self) -> Iterator[ImageOutcome]:
        """Give the outcomes that are known, up to the first that is not."""
        while self._order:
            first = self._order[0]
            if isinstance(first, str):
                if first not in self._outcomes:
                    return
                first = self._outcomes.pop(first)
            self._order.popleft()
            yield first

    def _begin(self, source: AnySource) -> ImageTask | ImageOutcome | Holder:
        """Skip a finished image, or claim one that is to be done; give who else has claimed it."""
        name = result_name(source)
        began = time.perf_counter()
        outputs = Outputs.of(source, self.out, self.options.file_format, self.options.further)
        entry = self._earlier(name)
        loaded, changed = None, False
        try:
            if entry is not None:
                verdict, loaded = self._compare(entry, source, outputs)
                if verdict == "same" and is_complete(entry, outputs, self.out):
                    self._renew(name, entry, source, None if loaded is None else loaded.sha256)
                    return ImageOutcome(source, "skipped")
                changed = verdict == "changed"
            holder, unfinished = self.claims.take(name)
            if holder is not None:
                return holder
            if unfinished:
                for path in (*outputs.possible, *outputs.always):
                    remove_unfinished(path)
            if self._earlier(name) != entry:
                # Another process has finished it just now.
                self._release(name)
                return self._begin(source)
            if not self.options.overwrite or self.record.entry(name) is None:
                check_replaceable(self.record.entry(name), outputs, self.out, unfinished=unfinished)
        except ProtectedError as error:
            self._release(name)
            return _failed(source, error, time.perf_counter() - began)
        except InputError as error:
            return self._discard(source, error, time.perf_counter() - began)
        # Before the pixels are read: a change in the meantime shows next time.
        self._begun[name] = _Begun({"input": origin_of(source), "stamp": self.stamps.of(source)}, changed)
        return ImageTask(source, outputs, loaded if self.keep_pixels else None)

    def _end(self, task: ImageTask, answer: ImageAnswer | InputError, seconds: float) -> None:
        """Note what became of an image."""
        name, begun = task.name, self._begun.pop(task.name)
        if isinstance(answer, InputError):
            self._outcomes[name] = self._discard(task.source, answer, seconds)
            return
        before = self.record.entry(name)
        entry = {**begun.known, "seconds": round(seconds, 3), **answer.entry}
        self._ended.append(name)
        written = self.record.add(name, entry)
        removed, kept = self._tidy(before, task.outputs)
        if written:
            self.write()
        self._outcomes[name] = ImageOutcome(
            task.source,
            "done",
            answer.instances,
            answer.prompts,
            seconds,
            out_of_distribution=answer.out_of_distribution,
            warnings=answer.warnings,
            changed=begun.changed,
            removed=removed,
            kept=kept,
            timings=answer.timings,
        )

    def _earlier(self, name: str) -> dict[str, Any] | None:
        """Give the entry of a finished image that is not to be done again."""
        entry = self.record.finished(name)
        # What others have written since this run began is as new as this run.
        return None if self.options.overwrite and entry == self.record.before.get(name) else entry

    def _compare(self, entry: Mapping[str, Any], source: AnySource, outputs: Outputs) -> Comparison:
        return compare(
            entry,
            source,
            origin=origin_of(source),
            stamp=self.stamps.of(source),
            labels=outputs.labels,
            pixel_size_nm=self.options.pixel_size_nm,
        )

    def _renew(self, name: str, entry: Mapping[str, Any], source: AnySource, sha256: str | None) -> None:
        """Note where a finished image lies now, so that its pixels need not be read the next time."""
        now = {"input": origin_of(source), "stamp": self.stamps.of(source)}
        if any(entry.get(key) != value for key, value in now.items()):
            kept = {key: value for key, value in entry.items() if key != "run"}
            self.record.add(name, kept | now | ({} if sha256 is None else {"sha256": sha256}))

    def _tidy(self, before: Mapping[str, Any] | None, outputs: Outputs) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Remove what earlier runs wrote for an image and this one did not; give what is gone and what stays."""
        if before is None or "error" in before:
            return (), ()
        new = {path.relative_to(self.out).as_posix() for path in outputs.written(self.options)}
        # Records of autosam 0.2 do not say which files there were.
        files = before.get("files") or {path.relative_to(self.out).as_posix(): {} for path in outputs.possible}
        removed, kept = remove_own(self.out, {file: noted for file, noted in files.items() if file not in new})
        return tuple(removed), tuple(kept)

    def _discard(self, source: AnySource, error: InputError, seconds: float) -> ImageOutcome:
        """Note that an image failed, and remove its earlier results: they would pass for those of today."""
        name = result_name(source)
        self._ended.append(name)
        entry = self.record.entry(name)
        earlier = None if entry is None or "error" in entry else entry
        if earlier is not None and (isinstance(error, UnfinishedError) or not opens(source)):
            # The image may be the same, and done another day.
            return _failed(source, error, seconds)
        removed, kept = ([], []) if earlier is None else remove_own(self.out, earlier.get("files", {}))
        if self.record.add(name, {"input": origin_of(source), "error": naming(source, str(error))}):
            self.write()
        return _failed(source, error, seconds, tuple(removed), tuple(kept))

    def _release(self, name: str) -> None:
        self.claims.release(name)
        if name in self._ended:
            self._ended.remove(name)


def _failed(
    source: AnySource,
    error: InputError,
    seconds: float,
    removed: tuple[str, ...] = (),
    kept: tuple[str, ...] = (),
) -> ImageOutcome:
    message = naming(source, str(error))
    return ImageOutcome(source, "failed", seconds=seconds, message=message, removed=removed, kept=kept)
