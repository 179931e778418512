"""`autosam apply`: corrections and results → corrected results, in the same layout."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam import __version__
from autosam.images import write_json
from autosam.images.folder_listing import RUN_RECORD
from autosam.images.write import atomic_path
from autosam.instances import MaskCrop
from autosam.pipeline.one_image import LoadedImage
from autosam.pipeline.origin_images import OriginImages
from autosam.pipeline.segmenter import Segmenter
from autosam.pipeline.summary_table import NAME as SUMMARY
from autosam.pipeline.summary_table import write_summary
from autosam.review.check_corrections import CheckedCorrections, refuse, where
from autosam.review.corrected_files import TRAINING, TrainingFiles, copy_files, write_files
from autosam.review.corrected_labels import CorrectedLabels, ObjectOrigin, correct_labels
from autosam.review.corrections import DRAWING, Correction
from autosam.review.corrections_file import corrections_text, keep_corrections, write_corrections
from autosam.review.drawn_mask import read_mask_text
from autosam.review.fixed_place import CORRECTIONS_SHA256, check_place
from autosam.review.kept_files import keep_others
from autosam.review.prompt_answers import PromptAnswers, open_segmenter, prompt_of
from autosam.review.provenance import read_provenance, write_provenance
from autosam.review.review_results import ReviewImage
from autosam.review.reviewed_area import reviewed_area

CORRECTIONS = "corrections.csv"
"""Name of the copy of the corrections in a folder of corrected results."""
NAMED = 3
"""Most files that a note names."""


@dataclass(frozen=True)
class ApplyOptions:
    """How corrections are applied.

    Attributes
    ----------
    model : str, optional
        Name or file of the model that answers points and boxes; by default that of the run.
    images : str, optional
        File or folder of the images, by name; by default where the run record says.
    device : str
        As in `Segmenter.from_model`.
    overwrite : bool
        Replace a folder that `autosam apply` wrote.
    """

    model: str | None = None
    images: str | None = None
    device: str = "auto"
    overwrite: bool = False


@dataclass(frozen=True)
class Applied:
    """What was done.

    Attributes
    ----------
    images, corrections : int
        How many images were corrected, and by how many corrections.
    before, after : int
        Objects in these images.
    asked : int
        Objects that SAM has drawn.
    notes : tuple of str
        What there is to know.
    """

    images: int
    corrections: int
    before: int
    after: int
    asked: int
    notes: tuple[str, ...] = ()


def apply_corrections(
    checked: CheckedCorrections,
    out: str | Path,
    options: ApplyOptions | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Applied:
    """Write corrected results: labels, tables, overlays, provenance, and what can be learnt from.

    Parameters
    ----------
    checked : CheckedCorrections
        From `check_corrections`: corrections of results of `autosam segment`, or of `autosam apply`.
    out : str or Path
        The new folder. It appears under its name when it is whole.
    progress : callable, optional
        Called with the corrected images that are done, and their number.

    Raises
    ------
    InputError, ConfigError, ModelError, OutputError
        If the place is taken, an image is gone or another one, the model is gone, or SAM sees nothing. Nothing is
        written then.

    Examples
    --------
    ::

        results = ReviewResults.open("results")
        checked = check_corrections(read_corrections("corrections.csv"), results)
        apply_corrections(checked, "fixed")
    """
    out, options = Path(out), options or ApplyOptions()
    check_place(checked.results.folder, out, overwrite=options.overwrite)
    origins = OriginImages(options.images)
    # Before a model is asked.
    for image, _ in checked.of.values():
        image.load(origins)
    applying = _Applying(checked, origins, options)
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(out) as temporary:
        temporary.mkdir()
        done = applying.write(temporary, progress)
        keep_corrections(out, temporary)
        kept = keep_others(out, temporary)
        write_corrections(temporary / CORRECTIONS, checked.all)
    named = ", ".join(kept[:NAMED]) + (f" and {len(kept) - NAMED} more" if len(kept) > NAMED else "")
    notes = (*done.notes, f"kept in {out}, where autosam apply did not write it: {named}") if kept else done.notes
    return replace(done, notes=notes)


class _Applying:
    """One run of `apply_corrections`, after all checks."""

    def __init__(self, checked: CheckedCorrections, origins: OriginImages, options: ApplyOptions) -> None:
        self.results, self.corrected, self.options = checked.results, checked.of, options
        self.corrections, self.origins = checked.all, origins
        self.provenance = read_provenance(self.results.folder)
        self.earlier = TrainingFiles(self.results.folder / TRAINING)
        self.segmenters: dict[str, Segmenter] = {}
        self.notes = list(self.results.notes)
        self.before = self.after = self.asked = 0

    def write(self, out: Path, progress: Callable[[int, int], None] | None) -> Applied:
        """Write all files into a new folder."""
        entries: dict[str, Any] = {}
        made: dict[str, Sequence[ObjectOrigin]] = {}
        training, done = TrainingFiles(out / TRAINING), 0
        for name, entry in self.results.record.entries.items():
            if name in self.corrected:
                entries[name], made[name] = self._correct(name, out, training)
                done += 1
                if progress is not None:
                    progress(done, len(self.corrected))
            elif name in self.results.images:
                entries[name] = copy_files(self.results.images[name], self.results.folder, out)
                made[name] = tuple(self.provenance.get(name, {}).values())
                self.earlier.copy(name, training)
            elif "error" in entry:
                entries[name] = dict(entry)
        self._write_record(out, entries)
        write_provenance(out, made)
        return Applied(
            len(self.corrected), len(self.corrections), self.before, self.after, self.asked, tuple(self.notes)
        )

    def _correct(
        self, name: str, out: Path, training: TrainingFiles
    ) -> tuple[dict[str, Any], Sequence[ObjectOrigin]]:
        image, own = self.corrected[name]
        labels, loaded = image.read_labels(), image.load(self.origins)
        scores = image.read_scores(int(labels.max(initial=0)))
        drawn = self._drawn(image, own, labels, loaded)
        corrected = correct_labels(labels, scores, own, drawn, origins=self.provenance.get(name))
        entry = write_files(image, self.results.folder, out, loaded, corrected)
        area = self._area(name, labels, corrected, own)
        note = training.add(name, loaded, corrected.labels, area)
        self.notes += [note] if note else []
        self.before += int(np.count_nonzero(np.bincount(labels.ravel())[1:]))
        self.after += len(corrected.scores)
        return entry, corrected.origins

    def _area(
        self, name: str, labels: NDArray[np.int32], corrected: CorrectedLabels, own: Sequence[Correction]
    ) -> NDArray[np.bool_]:
        """Give what was reviewed, now or before."""
        area = reviewed_area(labels, corrected, own)
        before = self.earlier.area(name, labels.shape)
        return area if before is None else area | before

    def _drawn(
        self, image: ReviewImage, own: Sequence[Correction], labels: NDArray[np.int32], loaded: LoadedImage
    ) -> dict[str, MaskCrop]:
        """Give the masks of the objects that are drawn: those of the file, and SAM's answers."""
        drawing = [one for one in own if one.action in DRAWING]
        drawn = {one.action_id: read_mask_text(one.mask) for one in drawing if one.mask}
        asking = [one for one in drawing if one.asks_model]
        if asking:
            answers = PromptAnswers(self._segmenter(image), loaded.image, image.zoom)
            found = answers.answer([prompt_of(one, labels) for one in asking])
            nothing = [where(one) for one, crop in zip(asking, found, strict=True) if crop is None]
            refuse([f"{one}: SAM sees no object there" for one in nothing], "add points or a box, or undo it")
            drawn |= {one.action_id: crop for one, crop in zip(asking, found, strict=True) if crop is not None}
            self.asked += len(asking)
        return drawn

    def _segmenter(self, image: ReviewImage) -> Segmenter:
        """Load the model of a run when it is first asked."""
        number = image.run.number
        if number not in self.segmenters:
            self.segmenters[number] = open_segmenter(
                image.run, model=self.options.model, device=self.options.device
            )
        return self.segmenters[number]

    def _write_record(self, out: Path, entries: Mapping[str, Any]) -> None:
        """Write the run record of the results, with the hash of the corrections among the options."""
        content = json.loads((self.results.folder / RUN_RECORD).read_text(encoding="utf-8"))
        digest = sha256(corrections_text(self.corrections).encode()).hexdigest()
        for block in (content, *content.get("earlier_runs", {}).values()):
            block["options"] = {**(block.get("options") or {}), CORRECTIONS_SHA256: digest}
        content.pop("images")
        content["corrected"] = {
            "autosam": __version__,
            "results": str(self.results.folder.resolve()),
            "model": self.options.model,
            "images": len(self.corrected),
            "corrections": len(self.corrections),
        }
        content["images"] = {name: {**entry, "run": int(entry["run"])} for name, entry in entries.items()}
        write_json(out / RUN_RECORD, content)
        write_summary(out / SUMMARY, entries)
