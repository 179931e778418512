"""Arrays that were read last, one for each place, up to a number of bytes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from numpy.typing import NDArray


class ByteCache:
    """Keeps the last array of each place: of a stack that is read along z, what lies behind is not kept.

    Parameters
    ----------
    limit : int
        Bytes of all arrays together; the very last one stays, whatever its size.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[Hashable, tuple[Hashable, NDArray[Any]]] = OrderedDict()

    def get(self, place: Hashable, version: Hashable, load: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Give the array of a place, and load it where another version of it is here, or none.

        It is not to be written to.
        """
        kept = self._kept.pop(place, None)
        found = kept[1] if kept is not None and kept[0] == version else None
        # The other version goes before, as both would be in memory together.
        kept = None
        if found is None:
            found = load()
        self._kept[place] = version, found
        used = sum(array.nbytes for _, array in self._kept.values())
        while used > self._limit and len(self._kept) > 1:
            used -= self._kept.popitem(last=False)[1][1].nbytes
        return found
