"""The errors that a user can cause: the command line prints them as one line and exits with status 2."""


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
