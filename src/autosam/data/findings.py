"""What a check of a store reports."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """A fault, which makes training or scores wrong, or a warning, whose cause may be meant.

    `kind` groups findings, in a few words; `item` is the image or volume, "" for the whole store.
    """

    level: Literal["fault", "warning"]
    kind: str
    item: str
    text: str
