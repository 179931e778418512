"""Files that stay open between reads: by thread and by process, and only a few."""

import gc
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
import tifffile

from autosam.volumes import storage
from autosam.volumes.open_volume import open_volume
from autosam.volumes.storage import close_volumes, handle_of

VOLUME = np.random.default_rng(1).integers(0, 255, (9, 80, 90), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _closed():
    yield
    close_volumes()


def write(path, array=VOLUME):
    if path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("raw", data=array, chunks=(1, 16, 16), compression="gzip")
    else:
        tifffile.imwrite(path, array, photometric="minisblack", compression="zlib", tile=(16, 16))
    return path


def read_some(source, seed):
    """Tell whether windows at random places are those of the array."""
    rng = np.random.default_rng(seed)
    for _ in range(40):
        z, row, col = (int(rng.integers(0, n)) for n in (9, 60, 60))
        window = slice(row, row + 20), slice(col, col + 30)
        if not np.array_equal(source.read(z, window), VOLUME[(z, *window)]):
            return False
    return True


@pytest.mark.parametrize("name", ["a.tif", "a.h5"])
def test_threads_do_not_disturb_each_other(tmp_path, name):
    source = open_volume(write(tmp_path / name))
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda seed: read_some(source, seed), range(8)))
    # Files of threads that have ended are closed; pytest makes an error of one that is not.
    gc.collect()


@pytest.mark.parametrize("name", ["a.tif", "a.h5"])
def test_another_process_opens_its_own(tmp_path, name):
    source = open_volume(write(tmp_path / name))
    assert read_some(source, 0)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(read_some, (source, 1))


def test_a_forked_process_does_not_use_the_files_of_its_parent(tmp_path, monkeypatch):
    source = open_volume(write(tmp_path / "a.tif"))
    source.read(0, (slice(0, 5), slice(0, 5)))
    mine = handle_of(source.storage, source.content)
    assert handle_of(source.storage, source.content) is mine
    monkeypatch.setattr(storage.os, "getpid", lambda: -1)
    assert handle_of(source.storage, source.content) is not mine


def test_few_files_stay_open(tmp_path):
    sources = [open_volume(write(tmp_path / f"{number}.tif")) for number in range(storage.MOST_OPEN + 3)]
    first = handle_of(sources[0].storage, sources[0].content)
    for source in sources:
        source.read(0, (slice(0, 5), slice(0, 5)))
    assert not first.close.alive
    assert len(storage._handles.kept) == storage.MOST_OPEN
    # What was closed is opened again.
    assert read_some(sources[0], 2)
    sources[0].close()
    assert len(storage._handles.kept) == storage.MOST_OPEN - 1


def test_a_file_that_was_replaced_is_opened_anew(tmp_path):
    source = open_volume(write(tmp_path / "a.tif"))
    source.read(0, (slice(0, 5), slice(0, 5)))
    (tmp_path / "a.tif").unlink()
    again = open_volume(write(tmp_path / "a.tif", 255 - VOLUME))
    assert again.fingerprint != source.fingerprint
    np.testing.assert_array_equal(again.read(0, (slice(0, 5), slice(0, 5))), 255 - VOLUME[0, :5, :5])


def test_threads_have_files_of_their_own(tmp_path):
    source = open_volume(write(tmp_path / "a.tif"))
    found = []

    def work():
        found.append(id(handle_of(source.storage, source.content)))
        close_volumes()

    here = handle_of(source.storage, source.content)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found != [id(here)]
