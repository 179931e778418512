"""The errors that a user can cause: the command line prints them as one line and exits with status 2."""

from collections.abc import Sequence


class AutosamError(Exception):
    """What came, what was wanted and what to do about it, in one line."""


class InputError(AutosamError):
    """An image, a label file, a table or an array cannot be used as it is."""


class ConfigError(AutosamError):
    """A setting is unknown, of the wrong type or out of range."""


class ModelError(AutosamError):
    """A weight file is missing, damaged, unsafe or does not fit the model."""


class OutputError(AutosamError):
    """A result cannot be written."""


class AutosamWarning(UserWarning):
    """Something that the user should know and that stops nothing: the command line prints it as a note."""


def listed(names: Sequence[str], most: int = 5) -> str:
    """Name the first few, and count the rest, as messages do.

    Examples
    --------
    >>> listed(["a", "b"]), listed(["a", "b", "c"], most=2)
    ('a, b', 'a, b and 1 more')
    """
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
