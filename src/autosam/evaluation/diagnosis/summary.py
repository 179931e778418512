"""Counts and shares per stage, of a whole run and of groups of its images."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import nan
from os.path import commonpath
from pathlib import Path
from typing import Any

from autosam import __version__
from autosam.evaluation.diagnosis.assignment import BOX_LIMIT, Fault
from autosam.evaluation.diagnosis.diagnose import Diagnosis, ImageDiagnosis
from autosam.evaluation.diagnosis.recorded_run import RecordedRun
from autosam.evaluation.diagnosis.stages import LIMIT, Stage
from autosam.evaluation.tables import csv_text, format_number, null_for_nan
from autosam.images import ensure_folder, write_json, write_text
from autosam.metrics.precision_counts import AveragePrecision

MOST_BARS = 20
"""Images of one folder that get a bar each."""

_IOUS = ("region_iou", "box_iou", "mask_iou", "label_iou")
_COLUMNS = ("image", "object", "size_px", "row", "column", "stage", "fault", *_IOUS)


def count_stages(images: Sequence[ImageDiagnosis]) -> dict[Stage, int]:
    """Count true objects by stage, those without any included."""
    counts = Counter(stage for image in images for stage in image.stages.stages)
    return {stage: counts[stage] for stage in Stage}


def count_false(images: Sequence[ImageDiagnosis]) -> dict[Stage, int]:
    """Count false objects by the stage that they come from."""
    counts = Counter(stage for image in images for stage in image.stages.false_stages)
    return {stage: counts[stage] for stage in Stage if stage is not Stage.FOUND}


def count_faults(images: Sequence[ImageDiagnosis]) -> dict[Fault, int]:
    """Count the objects that were lost in the prompt by what was wrong with it."""
    counts = Counter(fault for image in images for fault in image.stages.faults if fault is not None)
    return {fault: counts[fault] for fault in Fault}


def precision_row(precision: AveragePrecision) -> dict[str, float]:
    """Return the columns of the table of ceilings; NaN where there is no object on either side."""
    return {"ap50": precision.at(0.5), "ap75": precision.at(0.75), "mean_ap": precision.mean}


def groups_of(images: Sequence[ImageDiagnosis]) -> dict[str, list[ImageDiagnosis]]:
    """Group images for the figure: all, and those of each folder, or each image where there is one folder.

    Returns
    -------
    dict of str to list of ImageDiagnosis
        Folders by what tells them apart; images by name, unless they are more than ``MOST_BARS``.
    """
    groups: dict[str, list[ImageDiagnosis]] = {"all": list(images)}
    folders = sorted({image.folder for image in images})
    if len(folders) > 1:
        shared = Path(commonpath(folders))
        for folder in folders:
            name = str(folder.relative_to(shared))
            groups[folder.name if name == "." else name] = [image for image in images if image.folder == folder]
    elif 1 < len(images) <= MOST_BARS:
        groups |= {image.name: [image] for image in images}
    return groups


def document_of(run: RecordedRun, diagnosis: Diagnosis, notes: Sequence[str]) -> dict[str, Any]:
    """Return counts and ceilings for JSON; NaN still in them."""
    return {
        "autosam": __version__,
        "results": str(run.folder),
        "model": run.model,
        "model_sha256": run.model_sha256,
        "limits": {"iou": float(LIMIT), "box_iou": BOX_LIMIT},
        "notes": list(notes),
        **_counts(diagnosis.images),
        "average_precision": {name: precision_row(found) for name, found in diagnosis.pooled().items()},
        "images": [
            {
                "image": image.name,
                "reproduced": image.reproduced,
                **_counts([image]),
                "average_precision": {name: precision_row(found) for name, found in image.precisions.items()},
            }
            for image in diagnosis.images
        ],
    }


def write_diagnosis(
    folder: Path, run: RecordedRun, diagnosis: Diagnosis, notes: Sequence[str]
) -> tuple[Path, Path]:
    """Write ``diagnosis.csv``, a row for each true object, and ``diagnosis.json``, counts and ceilings.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    table, record = folder / "diagnosis.csv", folder / "diagnosis.json"
    ensure_folder(folder)
    write_text(table, csv_text(_COLUMNS, [row for image in diagnosis.images for row in _rows(image)]))
    write_json(record, null_for_nan(document_of(run, diagnosis, notes)))
    return table, record


def share(count: int, of: int) -> float:
    """Return a fraction, 0 to 1; NaN of nothing."""
    return count / of if of else nan


def _counts(images: Sequence[ImageDiagnosis]) -> dict[str, Any]:
    stages, false = count_stages(images), count_false(images)
    return {
        "objects": sum(stages.values()),
        "stages": _shares(stages),
        "prompt_faults": {fault.value: count for fault, count in count_faults(images).items()},
        "false_objects": sum(false.values()),
        "false_stages": _shares(false),
    }


def _shares(counts: Mapping[Stage, int]) -> dict[str, dict[str, float]]:
    total = sum(counts.values())
    return {stage.value: {"count": count, "share": share(count, total)} for stage, count in counts.items()}


def _rows(image: ImageDiagnosis) -> list[list[str]]:
    stages = image.stages
    return [
        [
            image.name,
            str(stages.ids[number]),
            str(stages.sizes[number]),
            *(f"{value:.1f}" for value in image.centers[number]),
            stages.stages[number].value,
            "" if (fault := stages.faults[number]) is None else fault.value,
            *(format_number(float(getattr(stages, name)[number])) for name in _IOUS),
        ]
        for number in range(len(stages.ids))
    ]
