"""URLs among the inputs: OME-Zarr is read where it lies, on a web server or in a bucket."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autosam.errors import InputError

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)


def url_of(path: Path | str) -> str | None:
    """Return the URL that a path stands for, or None for a file.

    `Path` takes one of the two slashes after the colon away; here it comes back. ``file://`` is a file.

    Examples
    --------
    >>> url_of(Path("https://example.org/a.zarr")), url_of(Path("a.zarr")), url_of("C:/a.zarr")
    ('https://example.org/a.zarr', None, None)
    """
    text = path if isinstance(path, str) else path.as_posix()
    match = _URL.fullmatch(text)
    return None if match is None or match[1].lower() == "file" else f"{match[1].lower()}://{match[2]}"


def local_path(text: str) -> str:
    """Take ``file://`` off.

    Examples
    --------
    >>> local_path("file:///data/a.zarr"), local_path("data/a.zarr")
    ('/data/a.zarr', 'data/a.zarr')
    """
    match = re.fullmatch(r"file://(?:localhost)?(/.*)", text, flags=re.IGNORECASE | re.DOTALL)
    return match[1] if match else text


@contextmanager
def reading_url(place: str) -> Iterator[None]:
    """Turn what the libraries of a protocol raise inside the block into one `InputError`; files pass.

    A missing library is said before anything is tried.
    """
    url = url_of(place)
    if url is None:
        yield
        return
    _check_protocol(url)
    try:
        yield
    except _network_errors() as error:
        reason = " ".join(str(error).split())[:200]
        advice = "; a public bucket wants FSSPEC_S3_ANON=true" if url.startswith("s3:") else ""
        raise InputError(
            f"{url} cannot be read: {type(error).__name__} {reason}; check address and rights{advice}."
        ) from error


def _check_protocol(url: str) -> None:
    try:
        import fsspec
    except ModuleNotFoundError:
        raise InputError(f"{url}: reading by URL needs fsspec; pip install 'autosam[remote]'.") from None

    protocol = url.partition(":")[0]
    try:
        fsspec.get_filesystem_class(protocol)
    except ValueError:
        raise InputError(
            f"{url}: the protocol {protocol} is unknown; wanted https, s3, memory or another of fsspec."
        ) from None
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{url}: a package for {protocol}:// is missing ({reason}); pip install 'autosam[remote]' brings "
            "those of http, https and s3."
        ) from None


def _network_errors() -> tuple[type[Exception], ...]:
    """List the errors of the network, and those of the libraries in use."""
    found: list[type[Exception]] = [ConnectionError, TimeoutError]
    if "aiohttp" in sys.modules:
        import aiohttp

        found.append(aiohttp.ClientError)
    if "botocore" in sys.modules:
        import botocore.exceptions

        found += [botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError]
    return tuple(found)
