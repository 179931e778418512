"""One error for all the faults of a data set."""

from collections.abc import Sequence

from autosam.errors import InputError


def refuse_faults(faults: Sequence[str], source: str, *, most: int = 10) -> None:
    """Raise one error that names the faults; return where there is none.

    Parameters
    ----------
    faults : sequence of str
        Each in a few words.
    source : str
        What they are faults of.
    most : int
        Further ones are counted.

    Raises
    ------
    InputError
        Where there is a fault.
    """
    if faults:
        more = f"; and {len(faults) - most} more" if len(faults) > most else ""
        count = f"{len(faults)} fault{'s' * (len(faults) > 1)}"
        raise InputError(f"{count} in {source}: {'; '.join(fault.rstrip('.') for fault in faults[:most])}{more}.")
