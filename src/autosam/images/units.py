"""Units of length, as files spell them."""

import math
import re
import sys
import unicodedata
from collections.abc import Iterable

VoxelSize = tuple[float, float, float]
"""Sides of a voxel in nm, along z, y and x."""
Spacing = tuple[float | None, float | None, float | None]
"""The same as far as it is known."""

LARGEST = 10_000.0
"""nm. In headers that any program writes, larger sizes come from scanners and paint programs: 72 dots per inch are
352,778 nm."""

_PREFIXES = {
    "f": 1e-6, "p": 1e-3, "n": 1.0, "u": 1e3, "m": 1e6, "c": 1e7, "d": 1e8, "": 1e9, "da": 1e10, "h": 1e11,
    "k": 1e12,
    "femto": 1e-6, "pico": 1e-3, "nano": 1.0, "micro": 1e3, "milli": 1e6, "centi": 1e7, "deci": 1e8, "deca": 1e10,
    "hecto": 1e11, "kilo": 1e12,
}  # fmt: skip
_INCH = 2.54e7
_OTHERS = {
    "a": 0.1, "angstrom": 0.1, "angstroem": 0.1, "micron": 1e3, "mic": 1e3, "u": 1e3, "inch": _INCH,
    "inche": _INCH, "in": _INCH,
    '"': _INCH, "mil": _INCH / 1000, "thou": _INCH / 1000, "li": _INCH / 12, "pt": _INCH / 72, "ft": 12 * _INCH,
    "foot": 12 * _INCH, "feet": 12 * _INCH, "yd": 36 * _INCH, "yard": 36 * _INCH,
}  # fmt: skip


def nm_of(unit: str | bytes) -> float | None:
    r"""Give the nanometers of a unit of length; None for pixels and everything unknown.

    Symbols and English names are known, in the singular and plural and in both spellings of meter, the micro sign
    also as ImageJ escapes it.

    Examples
    --------
    >>> nm_of("microns"), nm_of(r"\u00B5m"), nm_of("Nanometre"), nm_of("Å"), nm_of("pixel")
    (1000.0, 1000.0, 1.0, 0.1, None)
    """
    text = unit.decode("utf-8", "replace") if isinstance(unit, bytes) else str(unit)
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    # Å and µ have two code points each, and a µ in Latin-1 can follow a stray Â.
    text = unicodedata.normalize("NFKC", text).strip(" \t\r\n\0.").replace("Âμ", "μ")
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).replace(
        "μ", "u"
    )
    for name in dict.fromkeys((text, text.lower())):
        # Symbols have no plural.
        for one in (name, name.removesuffix("s") if len(name) > 3 else name):
            if one in _OTHERS:
                return _OTHERS[one]
            match = re.fullmatch(r"(.*?)(m|meter|metre)", one)
            # Only symbols go with symbols.
            if match and match[1] in _PREFIXES and (match[2] != "m" or len(match[1]) < 3):
                return _PREFIXES[match[1]]
    return None


def pixel_side(
    sides: Iterable[float], *, unit_nm: float = 1.0, largest: float = sys.float_info.max
) -> float | None:
    """Give the side of a pixel in nm from row and column spacing in a unit: their geometric mean.

    None for what no microscope gives: nothing or less, more than `largest` nm, or sides that differ by a tenth.

    Examples
    --------
    >>> pixel_side((0.5, 0.5), unit_nm=1000), pixel_side((0.0, 0.0)), pixel_side((1.0, 2.0))
    (500.0, None, None)
    """
    row, col = (side * unit_nm for side in sides)
    if not (0 < row <= largest and 0 < col <= largest) or not 1 / 1.1 < row / col < 1.1:
        return None
    return math.sqrt(row * col)
