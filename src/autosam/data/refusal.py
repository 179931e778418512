"""One error for all the faults of a data set."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from autosam.errors import InputError


@contextmanager
def noting(faults: list[str], name: str = "") -> Iterator[None]:
    """Add what goes wrong inside the block to a list of faults, after a name, and go on."""
    try:
        yield
    except InputError as error:
        faults.append(name + str(error))


def refuse_faults(faults: Sequence[str], source: str, *, remedy: str = "", most: int = 10) -> None:
    """Raise one error that names the first `most` faults and counts the others; return where there is none.

    The error ends with a remedy, if there is one for all of them.

    Raises
    ------
    InputError
        Where there is a fault.
    """
    if faults:
        more = f"; and {len(faults) - most} more" if len(faults) > most else ""
        count = f"{len(faults)} fault{'s' * (len(faults) > 1)}"
        named = "; ".join(fault.rstrip(".") for fault in faults[:most])
        raise InputError(f"{count} in {source}: {named}{more}{f': {remedy}' if remedy else ''}.")
