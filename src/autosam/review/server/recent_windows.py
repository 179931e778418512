"""The embeddings of an image's windows that were asked for last, up to a number of bytes."""

from collections import OrderedDict
from collections.abc import Iterator, MutableMapping, Sequence

from autosam.images import Window
from autosam.models.sam.interface import Embedding


class RecentWindows(MutableMapping[Window, Sequence[Embedding]]):
    """Embeddings by window, for `PromptAnswers`; the one that was not read for the longest time goes first.

    Parameters
    ----------
    limit : int
        Bytes of all together; the very last one stays, whatever its size.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[Window, Sequence[Embedding]] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """Bytes that all embeddings take."""
        return sum(map(_bytes, self._kept.values()))

    def __getitem__(self, window: Window) -> Sequence[Embedding]:
        found = self._kept[window]
        self._kept.move_to_end(window)
        return found

    def __setitem__(self, window: Window, embeddings: Sequence[Embedding]) -> None:
        self._kept[window] = embeddings
        self._kept.move_to_end(window)
        used = self.nbytes
        while used > self._limit and len(self._kept) > 1:
            used -= _bytes(self._kept.popitem(last=False)[1])

    def __delitem__(self, window: Window) -> None:
        del self._kept[window]

    def __iter__(self) -> Iterator[Window]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, window: object) -> bool:
        return window in self._kept


def _bytes(embeddings: Sequence[Embedding]) -> int:
    return sum(one.features.numel() * one.features.element_size() for one in embeddings)
