"""What a check has to say: one thing at a time."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """Something to know about one image, two of them or the whole store.

    Attributes
    ----------
    level : {"fault", "warning"}
        A fault makes training or scores wrong; a warning may be meant.
    kind : str
        One of a few words, for counting.
    item : str
        Name of the image or volume; "" for the store.
    text : str
        What was found.
    """

    level: Literal["fault", "warning"]
    kind: str
    item: str
    text: str
