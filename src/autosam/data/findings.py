"""What a check of a store reports."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """Something about one image, two of them or the whole store.

    Attributes
    ----------
    level : {"fault", "warning"}
        A fault makes training or scores wrong; a warning may be meant.
    kind : str
        Which kind of fault or warning, in a few words.
    item : str
        Name of the image or volume; "" for the store.
    text : str
        What was found.
    """

    level: Literal["fault", "warning"]
    kind: str
    item: str
    text: str
