"""CSV as spreadsheets write it: commas, semicolons or tabs between cells, decimal commas, a byte order mark."""

import csv
import io
from collections.abc import Collection, Iterator

DELIMITERS = (",", ";", "\t")


def read_rows(
    text: str, known: Collection[str], *, exact: Collection[str] = ()
) -> Iterator[tuple[int, list[str]]]:
    r"""Read the rows of a table, each with the number of its last line; the first is the header.

    Cells come without blanks around them, but for those of the columns in `exact`. Blank lines, and a first line
    ``sep=;`` as spreadsheets write it, are passed over. What stands between cells is found by the names of the
    columns.

    Parameters
    ----------
    text : str
        The table, with line ends of any system.
    known : collection of str
        Names that its columns can have.
    exact : collection of str
        Columns whose blanks belong to what they hold, such as names of files.

    Raises
    ------
    csv.Error
        If a quote is not closed.

    Examples
    --------
    >>> list(read_rows("row;col\r\n1,5;2\r\n", ["row", "col"]))
    [(1, ['row', 'col']), (2, ['1.5', '2'])]
    """
    lines = text.removeprefix("\ufeff")
    first = lines.split(maxsplit=1)[:1]
    skipped = bool(first) and first[0].lower().startswith("sep=")
    header = next(iter(lines.lstrip().splitlines()[skipped:]), "")
    delimiter = max(DELIMITERS, key=lambda one: sum(name in known for name in _cells(header, one)))
    rows = csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter, strict=True)
    kept, header_came = set[int](), False
    for raw in rows:
        cells = [_cell(cell, kept=place in kept) for place, cell in enumerate(raw)]
        if not any(cells) and len(cells) < 2:
            continue
        if skipped:
            skipped = False
        else:
            if not header_came:
                kept, header_came = {place for place, name in enumerate(cells) if name in exact}, True
            # Where a comma parts no cells, it can be that of a number.
            yield rows.line_num, cells if delimiter == "," else [_with_point(cell) for cell in cells]


def _cell(text: str, *, kept: bool) -> str:
    plain = text.strip()
    return text if kept and plain else plain


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def _with_point(cell: str) -> str:
    """Write a number with a decimal comma as a number with a point; leave all else as it is."""
    whole, comma, rest = cell.partition(",")
    number = comma and rest.isdigit() and whole.lstrip("+-").isdigit()
    return f"{whole}.{rest}" if number else cell
