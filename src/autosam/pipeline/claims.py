"""Several processes share one folder of results: who works on which image is told by small files.

A claim is a file that only one process can create, on network folders too. It names the process, its host and the
time. While the process lives, a thread renews the file's time. Another process takes the claim over when the first
is known to be dead, or has not renewed it for `STALE_AFTER` seconds.
"""

import json
import os
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from autosam.errors import OutputError
from autosam.pipeline.claim_holder import HELD, Holder, host

FOLDER = ".autosam_claims"
"""Where claims lie in the folder of results; gone when nobody works there."""
LOCK = ".autosam_run.lock"
"""Held while the run record is read and written."""
BEAT = 15.0
"""Seconds between two renewals."""
STALE_AFTER = 120.0
"""Seconds without a renewal, by the clock of the file system, after which a claim is taken over."""
LOCK_WAIT = 180.0
"""Seconds to wait for the lock at most; longer than a lock can be stale."""


class Claims:
    """The claims of this process in a folder of results, released when the ``with`` block ends."""

    def __init__(self, out: Path) -> None:
        self._folder = out / FOLDER
        self._mine: dict[Path, str] = {}
        self._over = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="autosam-claims", daemon=True)

    def __enter__(self) -> "Claims":
        # Also between two images, others can see that somebody works here.
        self.take(f"run {uuid.uuid4().hex}")
        self._renewing.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        for path, token in list(self._mine.items()):
            if kind is not None:
                # An interrupt can come while a claim is being written.
                _remove(path, token, partly=True)
            self._release(path)
        for path, holder in self._of_others():
            # What a killed process had in work is done now, unless this one was interrupted, too.
            if kind is None and _stale(path, holder):
                _set_aside(path, holder)
        # Others may still work here.
        with suppress(OSError):
            self._folder.rmdir()

    def take(self, image: str) -> tuple[Holder | None, bool]:
        """Claim an image.

        Returns
        -------
        holder : Holder or None
            Who has it; None if it is this process's now.
        unfinished : bool
            A process that is dead had claimed it, so that unknown results of it can lie there.

        Raises
        ------
        OutputError
            If the claim cannot be written.
        """
        path = self._path(image)
        token = uuid.uuid4().hex
        # Before the file is there, so that an interrupt leaves none.
        self._mine[path] = token
        holder, unfinished = _take(path, token, image)
        if holder is not None:
            del self._mine[path]
        return holder, unfinished

    def release(self, image: str) -> None:
        """Give an image free."""
        if (path := self._path(image)) in self._mine:
            self._release(path)

    def others(self) -> Holder | None:
        """Name a living process that works in the folder, other than this one."""
        return next((holder for path, holder in self._of_others() if not _stale(path, holder)), None)

    def _of_others(self) -> list[tuple[Path, Holder]]:
        paths = [path for path in sorted(self._folder.glob("*.claim")) if path not in self._mine]
        return [(path, holder) for path in paths if (holder := _holder(path)) is not None]

    def _path(self, image: str) -> Path:
        # A name of any length and any letters.
        return self._folder / f"{sha256(image.encode('utf-8', 'surrogateescape')).hexdigest()[:24]}.claim"

    def _release(self, path: Path) -> None:
        # In this order, an interrupt in between is made good when the block ends.
        _remove(path, self._mine[path])
        del self._mine[path]

    def _renew(self) -> None:
        while not self._over.wait(BEAT):
            for path in list(self._mine):
                with suppress(OSError):
                    os.utime(path)


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold the lock of the run record in a folder; wait for others, who need it for moments only.

    Raises
    ------
    OutputError
        If it cannot be had.
    """
    path, token = out / LOCK, uuid.uuid4().hex
    until = time.monotonic() + LOCK_WAIT
    try:
        while (holder := _take(path, token, "the run record")[0]) is not None:
            if time.monotonic() > until:
                raise OutputError(
                    f"the run record in {out} has been locked by {holder} for {LOCK_WAIT:.0f} s; end that "
                    f"process, or delete {path} if there is none"
                )
            time.sleep(0.02)
        yield
    finally:
        _remove(path, token)


def _take(path: Path, token: str, what: str) -> tuple[Holder | None, bool]:
    """Create a claim; tell who holds it otherwise, and whether a stale one was in its place."""
    unfinished = False
    HELD.add(token)
    for _ in range(100):
        if _create(path, token, what):
            return None, unfinished
        holder = _holder(path)
        if holder is None:
            continue
        if not _stale(path, holder):
            HELD.discard(token)
            return holder, False
        unfinished = _set_aside(path, holder) or unfinished
    HELD.discard(token)
    return Holder(0, "", ""), False


def _create(path: Path, token: str, what: str) -> bool:
    content = json.dumps(
        {
            "image": what,
            "process": os.getpid(),
            "host": host(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "token": token,
        }
    ).encode("ascii")
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        # One process alone can create a file that must be new.
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        try:
            # At once: a claim without content looks as if its process lived.
            os.write(file, content)
        finally:
            os.close(file)
    except (FileExistsError, FileNotFoundError):
        # It is there, or another process has just removed the empty folder.
        return False
    except OSError as error:
        if os.name == "nt" and isinstance(error, PermissionError):
            # There, a file that is being deleted cannot be created yet.
            time.sleep(0.01)
            return False
        _remove(path, token, partly=True)
        raise _unwritable(path, error) from error
    return True


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{path.parent} cannot be written to: {error.strerror or error}; free space or choose another place with "
        "--output."
    )


def _holder(path: Path) -> Holder | None:
    """Read who holds a claim; None if it is gone. A claim that is just being written names nobody."""
    try:
        text = path.read_text(encoding="ascii")
    except OSError:
        return None
    try:
        found = json.loads(text)
        return Holder(int(found["process"]), str(found["host"]), str(found["token"]))
    except (ValueError, KeyError, TypeError):
        return Holder(0, "", "")


def _stale(path: Path, holder: Holder) -> bool:
    if holder.dead:
        return True
    try:
        # The clock of a file server is not that of this host. A file without a name outlives no killed process.
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            return os.fstat(probe.fileno()).st_mtime - path.stat().st_mtime > STALE_AFTER
    except OSError:
        return False


def _set_aside(path: Path, stale: Holder) -> bool:
    """Remove a stale claim, which one of several processes can do."""
    aside = path.with_name(f".{uuid.uuid4().hex}.stale")
    try:
        path.rename(aside)
    except OSError:
        return False
    moved = _holder(aside)
    mine = moved is not None and moved.token == stale.token
    if not mine:
        # Somebody was faster, and this is the new claim.
        with suppress(OSError):
            os.link(aside, path)
    with suppress(OSError):
        aside.unlink()
    return mine


def _remove(path: Path, token: str, *, partly: bool = False) -> None:
    """Remove a claim of this process, partly written or whole, unless somebody has taken it over."""
    HELD.discard(token)
    for _ in range(50):
        holder = _holder(path)
        if holder is None or holder.token != ("" if partly else token):
            return
        try:
            path.unlink()
        except FileNotFoundError:
            return
        except PermissionError:
            # Windows refuses while somebody reads it.
            time.sleep(0.02)
        else:
            return
