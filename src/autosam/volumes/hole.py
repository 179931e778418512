"""Parts of a volume that cannot be read."""

from autosam.errors import InputError


class HoleError(InputError):
    """A part of a slice cannot be read, also not when it is tried again; a run records it and goes on.

    Attributes
    ----------
    z : int
        The slice.
    window : tuple of slice
        Its rows and columns that were asked for.
    reason : str
        What the file's library said.
    """

    def __init__(self, name: str, z: int, window: tuple[slice, slice], reason: str) -> None:
        rows, cols = window
        super().__init__(
            f"{name}: slice {z}, rows {rows.start} to {rows.stop - 1}, columns {cols.start} to {cols.stop - 1} "
            f"cannot be read: {reason}"
        )
        self.name, self.z, self.window, self.reason = name, z, window, reason

    def __reduce__(self) -> tuple[type["HoleError"], tuple[str, int, tuple[slice, slice], str]]:
        # Python would make it again of its text alone.
        return type(self), (self.name, self.z, self.window, self.reason)
