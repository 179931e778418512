"""The diagnosis of a pair of volumes, with what the run's own files tell."""

from collections.abc import Callable

from autosam.evaluation.diagnosis.volume_dropped import find_dropped, task_objects
from autosam.evaluation.diagnosis.volume_errors import diagnose_volume
from autosam.evaluation.diagnosis.volume_links import SectionLinks
from autosam.evaluation.diagnosis.volume_origins import count_origins, slices_table
from autosam.evaluation.diagnosis.volume_report import VolumeDiagnosis
from autosam.evaluation.diagnosis.volume_sections import find_sections
from autosam.evaluation.open_pair import ObjectRules, open_pair
from autosam.evaluation.pairing import Pair
from autosam.evaluation.scoring import IN_MEMORY_VOXELS
from autosam.images.image_source import split_dataset


def diagnose_pair(
    pair: Pair,
    rules: ObjectRules,
    *,
    start: tuple[int, int, int] = (0, 0, 0),
    progress: Callable[[int, int], None] | None = None,
) -> tuple[VolumeDiagnosis, list[str]]:
    """Diagnose one pair of volumes; errors are those of `open_pair` and of reading.

    Parameters
    ----------
    start : tuple of int
        z, row and column of the first voxel that is compared.
    progress : callable, optional
        Called with the slices that are done and their number.

    Returns
    -------
    diagnosis : VolumeDiagnosis
    notes : list of str
        What a reader of it should know.
    """
    place = split_dataset(pair.pred if isinstance(pair.pred, str) else pair.pred.name)[0]
    folder = task_objects(place)
    with open_pair(pair, rules, in_memory=IN_MEMORY_VOXELS) as opened:
        sections = find_sections(opened, progress=progress)
        missing = SectionLinks(sections).state == 0
        dropped = None if folder is None else find_dropped(sections, missing, opened, folder, start=start)
    table = slices_table(place)
    origins = None if table is None else count_origins(sections, table, start=start)
    notes = []
    if dropped is None:
        notes.append(
            "objects that were dropped before the result are not told from objects that were never found: the "
            "labels alone do not show them"
        )
    errors = diagnose_volume(sections, dropped=dropped)
    return VolumeDiagnosis(pair.name, errors, start, origins, tells_dropped=dropped is not None), notes
