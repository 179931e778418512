"""Arrays that were read last, up to a number of bytes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from numpy.typing import NDArray


class ByteCache:
    """Keeps what was used last; the very last array stays, whatever its size.

    Parameters
    ----------
    limit : int
        Bytes of all arrays together.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()

    def get(self, key: Hashable, load: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Give the array of a key, and load it where it is not here; it is not to be written to."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        found = self._kept[key] = load()
        used = sum(array.nbytes for array in self._kept.values())
        while used > self._limit and len(self._kept) > 1:
            used -= self._kept.popitem(last=False)[1].nbytes
        return found
