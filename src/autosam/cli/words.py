"""Numbers, names and times as messages write them."""


def count(number: int, one: str, many: str | None = None) -> str:
    """Write a number of things.

    Examples
    --------
    >>> count(1, "image"), count(1980, "patch", "patches")
    ('1 image', '1,980 patches')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """Write a time in the unit that suits it.

    Examples
    --------
    >>> duration(3.21), duration(46.7), duration(75), duration(5400)
    ('3.2 s', '47 s', '1.2 min', '1.5 h')
    """
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"


def file_size(size: int) -> str:
    """Write a number of bytes.

    Examples
    --------
    >>> file_size(375_042_383), file_size(2_300)
    ('375.0 MB', '2.3 kB')
    """
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"
