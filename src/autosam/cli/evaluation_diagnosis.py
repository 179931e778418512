"""`autosam evaluate --diagnose`: where the objects of a run were lost, on the screen and in files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autosam.cli.console import result, say, table
from autosam.cli.progress import progress
from autosam.cli.words import count

if TYPE_CHECKING:
    from autosam.evaluation.diagnosis.diagnose import Diagnosis
    from autosam.evaluation.diagnosis.recorded_run import RecordedRun
    from autosam.evaluation.pairing import Pair

_MEANING = {
    "found": "matched at IoU ≥ .5",
    "detection": "no prompt points at it",
    "prompt": "its prompt is wrong",
    "mask": "right prompt, no mask of IoU ≥ .5",
    "merge": "a mask of IoU ≥ .5 was dropped",
}
_MEANING_OF_FALSE = {
    "detection": "prompt on no object",
    "prompt": "prompt wrong for its object",
    "mask": "right prompt, mask ran away",
    "merge": "good mask cut, or one too many",
}


def refuse_others(others: Mapping[str, object], of: str) -> None:
    """Refuse options that --diagnose of something does not go with."""
    from autosam.errors import InputError

    given = [name for name, value in others.items() if value]
    if given:
        raise InputError(f"--diagnose came with {' and '.join(given)}: it looks at {of}; leave the option out")


def open_diagnosed(
    places: Sequence[str], paired: "Mapping[str, Sequence[Pair]]", ignore: int | None, *, device: str
) -> "RecordedRun":
    """Load the run that is to be diagnosed; refuse pixels that do not count, as every object is looked at."""
    from autosam.errors import InputError
    from autosam.evaluation.diagnosis.recorded_run import open_run

    run = open_run(Path(places[0]), device=device)
    if ignore is not None or any(pair.valid is not None for pairs in paired.values() for pair in pairs):
        raise InputError(
            "--diagnose counts every pixel, and this truth is valid in parts: leave --ignore-label out and give "
            "--valid none, or leave --diagnose out"
        )
    return run


def diagnose_results(
    run: "RecordedRun", pairs: "Sequence[Pair]", truth_size: int | None, output: Path | None
) -> None:
    """Diagnose a run and print the tables; with an output folder, also write and draw them."""
    from autosam.evaluation.diagnosis.diagnose import diagnose_run
    from autosam.evaluation.diagnosis.draw import draw_diagnosis
    from autosam.evaluation.diagnosis.summary import count_stages, groups_of, write_diagnosis
    from autosam.images import write_png

    with progress("diagnosing", len(pairs)) as bar:
        found = diagnose_run(run, pairs, truth_size=truth_size, progress=lambda done, _: bar.update(done))
    notes = []
    other = sum(not image.reproduced for image in found.images)
    if other:
        notes.append(
            f"{count(other, 'image')} came out differently than in {run.folder}, on another device or by another "
            "version; the diagnosis is of what came out now"
        )
    _print(run, found, notes)
    if output is None:
        return
    rows, record = write_diagnosis(output, run, found, notes)
    figure = output / "diagnosis.png"
    groups = {name: count_stages(images) for name, images in groups_of(found.images).items()}
    write_png(figure, draw_diagnosis(groups, found.examples))
    say(f"Written: {rows}, {record}, {figure}")


def _print(run: "RecordedRun", found: "Diagnosis", notes: Sequence[str]) -> None:
    from autosam.evaluation.diagnosis.stages import Stage
    from autosam.evaluation.diagnosis.summary import count_false, count_faults, count_stages, precision_row, share

    stages, false = count_stages(found.images), count_false(found.images)
    faults = ", ".join(f"{number} {fault}" for fault, number in count_faults(found.images).items() if number)
    lost = table("stage", "true", "share", "", "false", "share", "", left=("",))
    for stage, number in stages.items():
        meaning = _MEANING[stage] + (f" ({faults})" if stage is Stage.PROMPT and faults else "")
        cells = [str(number), _percent(share(number, sum(stages.values()))), meaning]
        if stage is Stage.FOUND:
            cells += ["", "", ""]
        else:
            part = share(false[stage], sum(false.values()))
            cells += [str(false[stage]), _percent(part), _MEANING_OF_FALSE[stage]]
        lost.add_row(stage.value, *cells, end_section=stage is Stage.MERGE)
    lost.add_row("all", str(sum(stages.values())), "", "", str(sum(false.values())), "", "", style="bold")
    precisions = table("prompts", "AP@.5", "AP@.75", "mean AP")
    for name, precision in found.pooled().items():
        precisions.add_row(
            name, *("–" if value != value else f"{value:.3f}" for value in precision_row(precision).values())
        )
    title = (
        f"Where {run.model} with the settings of {run.folder} lost true objects, and where false ones come from:"
    )
    result("", title, *(f"note: {note}" for note in notes), lost, "", precisions)


def _percent(value: float) -> str:
    return "–" if value != value else f"{100 * value:.1f} %"
