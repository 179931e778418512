"""The diagnosis of volumes as counts, places, CSV and JSON."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any

from autosam import __version__
from autosam.evaluation.diagnosis.assignment import Fault
from autosam.evaluation.diagnosis.summary import precision_row
from autosam.evaluation.diagnosis.volume_errors import LIMIT, VolumeErrors, VolumeStage
from autosam.evaluation.diagnosis.volume_origins import OriginCounts
from autosam.evaluation.tables import csv_text, format_number, null_for_nan
from autosam.images import ensure_folder, write_json, write_text
from autosam.metrics.precision_counts import AveragePrecision

_VOXELS = ("missing", "dropped", "bad", "good", "split", "merged")
_IOUS = ("linked_iou", "label_iou")
_COLUMNS = (
    "volume",
    "kind",
    "object",
    "voxels",
    "z",
    "row",
    "column",
    "stage",
    "fault",
    "other",
    "instances",
    *(f"{name}_voxels" for name in _VOXELS),
    *_IOUS,
)


@dataclass(frozen=True, eq=False)
class VolumeDiagnosis:
    """A volume of an evaluation.

    Attributes
    ----------
    errors : VolumeErrors
        What became of its objects.
    start : tuple of int
        z, row and column of the first voxel in the whole volume, where a part was compared.
    origins : OriginCounts or None
        How objects in slices were made, where the run's files tell it.
    tells_dropped : bool
        Whether what was dropped is told from what was not found.
    """

    name: str
    errors: VolumeErrors
    start: tuple[int, int, int] = (0, 0, 0)
    origins: OriginCounts | None = None
    tells_dropped: bool = False


@dataclass(frozen=True)
class LostObject:
    """An object or an instance that has no partner, and where to look at it.

    Attributes
    ----------
    place : tuple of int
        z, row and column of a voxel, as Neuroglancer takes them for a volume of axes z, y, x.
    true : bool
        A true object; otherwise an instance.
    other : int
        See `VolumeErrors`.
    """

    volume: str
    number: int
    voxels: int
    place: tuple[int, int, int]
    stage: VolumeStage
    true: bool
    other: int


def count_volume_stages(volumes: Sequence[VolumeDiagnosis]) -> dict[VolumeStage, int]:
    """Count true objects by stage, those without any included."""
    counts = Counter(stage for volume in volumes for stage in volume.errors.stages)
    return {stage: counts[stage] for stage in VolumeStage}


def count_false_instances(volumes: Sequence[VolumeDiagnosis]) -> dict[VolumeStage, int]:
    """Count instances without a partner by the stage that they come from."""
    counts = Counter(stage for volume in volumes for stage in volume.errors.false_stages)
    return {stage: counts[stage] for stage in VolumeStage if stage is not VolumeStage.FOUND}


def count_mask_faults(volumes: Sequence[VolumeDiagnosis]) -> dict[Fault, int]:
    """Count the objects of bad masks by what is wrong with most of these."""
    counts = Counter(fault for volume in volumes for fault in volume.errors.faults if fault is not None)
    return {fault: counts[fault] for fault in Fault}


def list_lost(volumes: Sequence[VolumeDiagnosis]) -> list[LostObject]:
    """List all true objects, then all instances, that have no partner; each those with most voxels first."""
    lost = [found for volume in volumes for found in _lost_of(volume)]
    return sorted(lost, key=lambda found: (not found.true, -found.voxels, found.volume, found.number))


def pooled_precisions(volumes: Sequence[VolumeDiagnosis]) -> dict[str, AveragePrecision]:
    """Add up the precisions of all volumes, by name."""
    names = volumes[0].errors.precisions if volumes else {}
    return {name: AveragePrecision.pooled([v.errors.precisions[name] for v in volumes]) for name in names}


def pooled_origins(volumes: Sequence[VolumeDiagnosis]) -> OriginCounts | None:
    """Add up how objects in slices were made; None where no volume tells it."""
    known = [volume.origins for volume in volumes if volume.origins is not None]
    return sum(known[1:], known[0]) if known else None


def write_volume_diagnosis(
    folder: Path, volumes: Sequence[VolumeDiagnosis], notes: Sequence[str]
) -> tuple[Path, Path]:
    """Write ``diagnosis.csv``, a row for each true object and each false instance, and ``diagnosis.json``.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    table, record = folder / "diagnosis.csv", folder / "diagnosis.json"
    ensure_folder(folder)
    write_text(table, csv_text(_COLUMNS, [row for volume in volumes for row in _rows(volume)]))
    document = {
        "autosam": __version__,
        "limits": {"iou": float(LIMIT)},
        "notes": list(notes),
        **_document(volumes),
        "volumes": [{"volume": volume.name, **_document([volume])} for volume in volumes],
    }
    write_json(record, null_for_nan(document))
    return table, record


def _document(volumes: Sequence[VolumeDiagnosis]) -> dict[str, Any]:
    stages, false = count_volume_stages(volumes), count_false_instances(volumes)
    origins = pooled_origins(volumes)
    return {
        "objects": sum(stages.values()),
        "stages": _shares(stages),
        "mask_faults": {fault.value: number for fault, number in count_mask_faults(volumes).items()},
        "false_instances": sum(false.values()),
        "false_stages": _shares(false),
        "average_precision": {name: precision_row(found) for name, found in pooled_precisions(volumes).items()},
        "objects_in_slices": None if origins is None else origins.document(),
    }


def _shares(counts: Mapping[VolumeStage, int]) -> dict[str, dict[str, float]]:
    total = sum(counts.values())
    return {
        stage.value: {"count": number, "share": number / total if total else nan}
        for stage, number in counts.items()
    }


def _place(volume: VolumeDiagnosis, places: Any, number: int) -> tuple[int, int, int]:
    z, row, column = (int(at) + start for at, start in zip(places[number], volume.start, strict=True))
    return z, row, column


def _lost_of(volume: VolumeDiagnosis) -> Iterator[LostObject]:
    errors, table = volume.errors, volume.errors.table
    for number, stage in enumerate(errors.stages):
        if stage is not VolumeStage.FOUND:
            size, place = int(table.truth_sizes[number]), _place(volume, errors.places, number)
            other = int(errors.other[number])
            yield LostObject(volume.name, int(table.truth_ids[number]), size, place, stage, True, other)
    for number, false in enumerate(errors.false_stages):
        if false is not None:
            size, place = int(table.pred_sizes[number]), _place(volume, errors.false_places, number)
            yield LostObject(volume.name, int(table.pred_ids[number]), size, place, false, False, 0)


def _rows(volume: VolumeDiagnosis) -> Iterator[list[str]]:
    errors, table = volume.errors, volume.errors.table
    for number, stage in enumerate(errors.stages):
        fault = errors.faults[number]
        yield [
            volume.name,
            "object",
            str(table.truth_ids[number]),
            str(table.truth_sizes[number]),
            *map(str, _place(volume, errors.places, number)),
            stage.value,
            "" if fault is None else fault.value,
            str(errors.other[number] or ""),
            str(errors.instances[number]),
            *(str(getattr(errors, name)[number]) for name in _VOXELS),
            *(format_number(float(getattr(errors, name)[number])) for name in _IOUS),
        ]
    empty = [""] * (len(_COLUMNS) - 8)
    for found in _lost_of(volume):
        if not found.true:
            place = map(str, found.place)
            yield [
                volume.name,
                "false instance",
                str(found.number),
                str(found.voxels),
                *place,
                found.stage.value,
                *empty,
            ]
