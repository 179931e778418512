"""`autosam evaluate --diagnose` of volumes: where objects were lost, on the screen and in files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from autosam.cli.console import result, say, table
from autosam.cli.progress import progress

if TYPE_CHECKING:
    from rich.table import Table

    from autosam.evaluation.diagnosis.volume_report import VolumeDiagnosis
    from autosam.evaluation.open_pair import ObjectRules
    from autosam.evaluation.pairing import Pair

_MEANING = {
    "found": "matched at IoU ≥ .5",
    "not found": "nothing points at most of it",
    "dropped": "found in slices, but not in the result",
    "bad mask": "IoU < .5 in its slices",
    "split": "good in slices, in several instances",
    "merged": "good in slices, its instance holds others, too",
}
_MEANING_OF_FALSE = {
    "not found": "lies on no object",
    "dropped": "",
    "bad mask": "its masks are bad",
    "split": "piece of an object",
    "merged": "several objects, or one and what is none",
}
_EXAMPLES = 3
"""Of each stage that are printed."""


def diagnose_volumes(
    pairs: "Sequence[Pair]", rules: "ObjectRules", output: Path | None, *, roi: str | None
) -> None:
    """Diagnose volumes and print the tables; with an output folder, also write them."""
    from autosam.evaluation.diagnosis.diagnose_pair import diagnose_pair
    from autosam.evaluation.diagnosis.volume_report import write_volume_diagnosis
    from autosam.evaluation.volume_sources import start_of

    found = []
    with progress("diagnosing", len(pairs)) as bar:
        for number, pair in enumerate(pairs):

            def show(done: int, of: int, before: int = number) -> None:
                bar.update(before + done / of)

            found.append(diagnose_pair(pair, rules, start=start_of(roi), progress=show))
    notes = list(dict.fromkeys(note for _, said in found for note in said))
    volumes = [diagnosis for diagnosis, _ in found]
    _print(volumes, notes)
    if output is not None:
        rows, record = write_volume_diagnosis(output, volumes, notes)
        say(f"Written: {rows}, {record}")


def _print(volumes: "Sequence[VolumeDiagnosis]", notes: Sequence[str]) -> None:
    from autosam.evaluation.diagnosis.summary import precision_row
    from autosam.evaluation.diagnosis.volume_errors import VolumeStage
    from autosam.evaluation.diagnosis.volume_origins import ORIGINS
    from autosam.evaluation.diagnosis.volume_report import (
        count_false_instances,
        count_mask_faults,
        count_volume_stages,
        pooled_origins,
        pooled_precisions,
    )

    stages, false = count_volume_stages(volumes), count_false_instances(volumes)
    faults = ", ".join(f"{number} {fault}" for fault, number in count_mask_faults(volumes).items() if number)
    lost = table("stage", "true", "share", "", "false", "share", "", left=("",))
    for stage, number in stages.items():
        if stage is VolumeStage.DROPPED and not any(volume.tells_dropped for volume in volumes):
            continue
        meaning = _MEANING[stage] + (f" ({faults})" if stage is VolumeStage.MASK and faults else "")
        cells = [str(number), _percent(number, sum(stages.values())), meaning]
        if stage is not VolumeStage.FOUND:
            cells += [str(false[stage]), _percent(false[stage], sum(false.values())), _MEANING_OF_FALSE[stage]]
        lost.add_row(stage.value, *cells, end_section=stage is VolumeStage.MERGED)
    lost.add_row("all", str(sum(stages.values())), "", "", str(sum(false.values())), style="bold")
    precisions = table("slices", "AP@.5", "AP@.75", "mean AP")
    for name, precision in pooled_precisions(volumes).items():
        cells = ["–" if value != value else f"{value:.3f}" for value in precision_row(precision).values()]
        precisions.add_row(name, *cells)
    title = "Where true objects were lost, and where false instances come from:"
    parts: list[str | Table] = ["", title, *(f"note: {note}" for note in notes), lost, "", precisions]
    origins = pooled_origins(volumes)
    if origins is not None:
        made = table("objects in slices", "number", "IoU ≥ .5", "share")
        for name, number, right in zip(ORIGINS, origins.count, origins.right, strict=True):
            made.add_row(name, str(number), str(right), _percent(right, number))
        parts += ["", made]
    result(*parts, *_examples(volumes))


def _examples(volumes: "Sequence[VolumeDiagnosis]") -> "list[str | Table]":
    from autosam.evaluation.diagnosis.volume_errors import VolumeStage
    from autosam.evaluation.diagnosis.volume_report import list_lost

    lost = list_lost(volumes)
    if not lost:
        return []
    several = len(volumes) > 1
    titles = ("largest", *(("volume",) if several else ()), "id", "voxels", "z", "row", "column", "with")
    shown = table(*titles, left=("volume",))
    for true in (True, False):
        for stage in VolumeStage:
            of = [one for one in lost if one.stage is stage and one.true is true]
            for one in of[:_EXAMPLES]:
                cells = [*((one.volume,) if several else ()), str(one.number), f"{one.voxels:,}"]
                what = stage.value if true else f"false: {stage.value}"
                shown.add_row(Text(what), *map(Text, cells), *map(str, one.place), str(one.other or ""))
    return ["", shown]


def _percent(part: int, of: int) -> str:
    return f"{100 * part / of:.1f} %" if of else "–"
