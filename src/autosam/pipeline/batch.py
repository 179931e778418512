"""Many images into one folder: what `autosam segment` does, for Python users too."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autosam.errors import InputError
from autosam.images import ensure_folder
from autosam.pipeline.claims import Claims, Holder
from autosam.pipeline.failures import MemoryShortError, naming, of_one_image, opens
from autosam.pipeline.finished import Comparison, ProtectedError, check_replaceable, compare, is_complete
from autosam.pipeline.identity import Stamps, origin_of
from autosam.pipeline.inside import InsideSource
from autosam.pipeline.one_image import LoadedImage, TruthSource, segment_loaded, write_results
from autosam.pipeline.outputs import (
    PLAIN,
    AnySource,
    BatchOptions,
    ImageOutcome,
    Outputs,
    name_faults,
    result_name,
)
from autosam.pipeline.own_files import remove_own
from autosam.pipeline.record import RunRecord
from autosam.pipeline.run_options import recorded_options, recorded_settings
from autosam.pipeline.segmenter import Segmenter
from autosam.pipeline.timings import Timings
from autosam.prompts.user_prompts import PromptTables


def segment_batch(
    sources: Sequence[AnySource],
    segmenter: Segmenter,
    out: Path,
    options: BatchOptions = PLAIN,
    *,
    prompts: PromptTables | None = None,
    truths: TruthSource | None = None,
    inside: InsideSource | None = None,
    model_sha256: str = "",
    progress: Callable[[float], None] | None = None,
) -> Generator[ImageOutcome, None, None]:
    """Segment images one after the other and write their files, the run record and ``summary.csv``.

    Several processes can work in one folder: each image is claimed by one of them, and the record keeps what all
    have done.

    Parameters
    ----------
    sources : sequence of ImageSource or MultichannelImage
        From `find_sources`, `find_channels` or `split_channels`.
    out : Path
        Folder of the results; created if need be.
    prompts : PromptTables, optional
        User prompts, for ``prompts.method=user`` or beside predicted ones.
    truths : TruthSource, optional
        Ground truth that chooses among SAM's masks (`segment_with_oracle`). The results are an upper bound, and
        the record says so by the hash.
    inside : InsideSource, optional
        The area of each image in which objects count (`keep_inside`).
    model_sha256 : str
        Hash of the model file, for the record.
    progress : callable, optional
        Called with the share of the current image that is done, 0 to 1.

    Yields
    ------
    ImageOutcome
        One per source, in order; those that another process had claimed come last. An image that cannot be read,
        segmented or named, or whose results come from another image, fails and does not stop the others.

    Raises
    ------
    ConfigError
        If the folder holds results of another model or of other settings, and ``overwrite`` is off.
    InputError
        If no image can be done, for their names.
    OutputError
        If a result cannot be written: the next image's could not be either.
    """
    faults = name_faults(sources)
    if sources and all(faults):
        raise InputError("; ".join(dict.fromkeys(fault for fault in faults if fault)))
    ensure_folder(out)
    with (
        Claims(out) as claims,
        RunRecord.open(
            out,
            settings=recorded_settings(segmenter.config),
            options=recorded_options(options, prompts, truths, inside),
            model=segmenter.name,
            model_sha256=model_sha256,
            keep=not options.overwrite,
            busy=claims.others,
        ) as record,
    ):
        batch = _Batch(segmenter, out, options, prompts, truths, inside, progress, claims, record)
        waiting: list[AnySource] = []
        for source, fault in zip(sources, faults, strict=True):
            if fault is not None:
                yield ImageOutcome(source, "failed", message=fault)
                continue
            became = batch.do(source)
            if isinstance(became, Holder):
                waiting.append(source)
            else:
                yield became
        batch.write()
        for source in waiting:
            became = batch.do(source)
            if isinstance(became, Holder):
                became = ImageOutcome(source, "elsewhere", message=str(became))
            yield became


@dataclass
class _Batch:
    """What all images of a batch have in common."""

    segmenter: Segmenter
    out: Path
    options: BatchOptions
    prompts: PromptTables | None
    truths: TruthSource | None
    inside: InsideSource | None
    progress: Callable[[float], None] | None
    claims: Claims
    record: RunRecord
    stamps: Stamps = field(default_factory=Stamps)
    claimed: list[str] = field(default_factory=list)

    def do(self, source: AnySource) -> ImageOutcome | Holder:
        """Skip a finished image, or claim, segment and write it; give who else has claimed it."""
        name = result_name(source)
        began = time.perf_counter()
        outputs = Outputs.of(source, self.out, self.options.file_format, self.options.further)
        entry = self._earlier(name)
        loaded, changed = None, False
        try:
            if entry is not None:
                verdict, loaded = self._compare(entry, source, outputs)
                if verdict == "same" and is_complete(entry, outputs, self.out):
                    self._renew(name, entry, source, loaded)
                    return ImageOutcome(source, "skipped")
                changed = verdict == "changed"
            holder, unfinished = self.claims.take(name)
            if holder is not None:
                return holder
            self.claimed.append(name)
            if self._earlier(name) != entry:
                # Another process has finished it just now.
                self._release(name)
                return self.do(source)
            if not self.options.overwrite or self.record.entry(name) is None:
                check_replaceable(self.record.entry(name), outputs, self.out, unfinished=unfinished)
            return self._segment(source, outputs, loaded, began, changed=changed)
        except ProtectedError as error:
            self._release(name)
            return self._failed(source, error, began)
        except InputError as error:
            removed, kept = self._discard(name, source, error)
            return self._failed(source, error, began, removed, kept)

    def write(self) -> None:
        """Write the record, and give free what is in it."""
        self.record.write()
        for name in list(self.claimed):
            self._release(name)

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

    def _segment(
        self, source: AnySource, outputs: Outputs, loaded: LoadedImage | None, began: float, *, changed: bool
    ) -> ImageOutcome:
        name = result_name(source)
        # Before the pixels are read: a change in the meantime shows next time.
        known: dict[str, Any] = {"input": origin_of(source), "stamp": self.stamps.of(source)}
        timings = Timings()
        segmenter = self.segmenter.with_timings(timings)
        with of_one_image():
            with timings.stage("read"):
                loaded = loaded or LoadedImage.read(source, self.options.pixel_size_nm)
                known["sha256"] = loaded.sha256
            result = segment_loaded(
                loaded, segmenter, self.options, self.prompts, self.truths, self.inside, self.progress
            )
            found = write_results(loaded, result, outputs, self.options, self.out, timings)
        seconds = time.perf_counter() - began
        known["timings"] = {stage: round(took, 4) for stage, took in timings.seconds.items()}
        before = self.record.entry(name)
        entry = {**known, "seconds": round(seconds, 3), **found}
        written = self.record.add(name, entry)
        removed, kept = self._tidy(before, outputs)
        if written:
            self.write()
        return ImageOutcome(
            source,
            "done",
            len(result.scores),
            len(result.prompts),
            seconds,
            out_of_distribution=result.out_of_distribution,
            warnings=result.warnings,
            changed=changed,
            removed=removed,
            kept=kept,
            timings=timings.seconds,
        )

    def _renew(self, name: str, entry: Mapping[str, Any], source: AnySource, loaded: LoadedImage | None) -> None:
        """Note where a finished image lies now, so that its pixels need not be read the next time."""
        now = {"input": origin_of(source), "stamp": self.stamps.of(source)}
        if any(entry.get(key) != value for key, value in now.items()):
            kept = {key: value for key, value in entry.items() if key != "run"}
            self.record.add(name, kept | now | ({"sha256": loaded.sha256} if loaded is not None else {}))

    def _tidy(self, before: Mapping[str, Any] | None, outputs: Outputs) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Remove what earlier runs wrote for an image and this one did not; give what is gone and what stays."""
        if before is None or "error" in before:
            return (), ()
        new = {path.relative_to(self.out).as_posix() for path in outputs.written(self.options)}
        # Records of autosam 0.2 do not say which files there were.
        files = before.get("files") or {path.relative_to(self.out).as_posix(): {} for path in outputs.possible}
        removed, kept = remove_own(self.out, {file: noted for file, noted in files.items() if file not in new})
        return tuple(removed), tuple(kept)

    def _discard(self, name: str, source: AnySource, error: InputError) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Note that an image failed, and remove its earlier results: they would pass for those of today."""
        entry = self.record.entry(name)
        earlier = None if entry is None or "error" in entry else entry
        if earlier is not None and (isinstance(error, MemoryShortError) or not opens(source)):
            # The image may be the same, and done another day.
            return (), ()
        removed, kept = ([], []) if earlier is None else remove_own(self.out, earlier.get("files", {}))
        if self.record.add(name, {"input": origin_of(source), "error": naming(source, str(error))}):
            self.write()
        return tuple(removed), tuple(kept)

    def _failed(
        self,
        source: AnySource,
        error: InputError,
        began: float,
        removed: tuple[str, ...] = (),
        kept: tuple[str, ...] = (),
    ) -> ImageOutcome:
        seconds, message = time.perf_counter() - began, naming(source, str(error))
        return ImageOutcome(source, "failed", seconds=seconds, message=message, removed=removed, kept=kept)

    def _release(self, name: str) -> None:
        self.claims.release(name)
        if name in self.claimed:
            self.claimed.remove(name)
