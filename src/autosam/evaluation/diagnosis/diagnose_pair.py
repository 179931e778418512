"""The diagnosis of a pair of volumes, with what the run's own files tell."""

from collections.abc import Callable

from autosam.evaluation.diagnosis.volume_errors import diagnose_volume
from autosam.evaluation.diagnosis.volume_origins import count_origins, slices_table
from autosam.evaluation.diagnosis.volume_report import VolumeDiagnosis
from autosam.evaluation.diagnosis.volume_sections import find_sections
from autosam.evaluation.open_pair import ObjectRules, open_pair
from autosam.evaluation.pairing import Pair
from autosam.evaluation.scoring import IN_MEMORY_VOXELS


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
    with open_pair(pair, rules, in_memory=IN_MEMORY_VOXELS) as opened:
        sections = find_sections(opened, progress=progress)
    table = slices_table(str(pair.pred))
    origins = None if table is None else count_origins(sections, table, start=start)
    notes = [
        "objects that were dropped before the result are not told from objects that were never found: the labels "
        "alone do not show them"
    ]
    return VolumeDiagnosis(pair.name, diagnose_volume(sections), start, origins), notes
