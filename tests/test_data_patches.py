"""Patches: where they lie, how many there are, and that they are what was there."""

import numpy as np
import pytest
from memory_store import memory_store, noise, square, store_of

from autosam.data.manifest import Item
from autosam.data.patches import cut_patches, patch_windows, write_patches
from autosam.data.split import origin
from autosam.data.store import Store
from autosam.errors import ConfigError, InputError


def epfl() -> Store:
    """All 165 slices in the memory of one: object in the upper left 256 × 256 of every third slice."""
    image, empty, full = np.zeros((768, 1024), np.uint8), np.zeros((768, 1024), np.uint8), square((768, 1024))
    items = [Item(f"epfl_{z:04d}", "", "epfl", z, (768, 1024), "uint8", "uint8", "train") for z in range(165)]
    return memory_store(items, lambda item: (image, full if item.z % 3 == 0 else empty))


def test_the_epfl_stack_gives_1980_patches_as_published():
    assert sum(patch is not None for patch in cut_patches(epfl(), size=256)) == 1980


def test_empty_patches_are_dropped():
    store = epfl()
    found = list(cut_patches(store, size=256, min_foreground=1))
    kept = [patch for patch in found if patch is not None]
    assert (len(found), len(kept)) == (1980, 55)
    assert kept[1].item == Item(
        "epfl_0003_r0000_c0000", "", "epfl_r0000_c0000", 3, (256, 256), "uint8", "uint8", "train"
    )
    assert origin(kept[1].item) == "epfl"
    # The square has 20 × 20 px.
    assert not any(cut_patches(store, size=256, min_foreground=401))
    assert sum(map(bool, cut_patches(store, size=256, min_foreground=400))) == 55
    # Image and labels of each slice were read once per pass.
    assert store._backend.reads == 3 * 165 * 2


def test_windows():
    assert [(w.row, w.col) for w in patch_windows((5, 7), size=3, stride=2)] == [
        (0, 0), (0, 2), (0, 4), (2, 0), (2, 2), (2, 4),
    ]  # fmt: skip
    assert [w.col for w in patch_windows((3, 8), size=3, stride=3)] == [0, 3]
    assert [w.col for w in patch_windows((3, 8), size=3, stride=3, cover=True)] == [0, 3, 5]
    assert [w.col for w in patch_windows((3, 6), size=3, stride=3, cover=True)] == [0, 3]
    assert patch_windows((2, 100), size=3, stride=3, cover=True) == []


@pytest.mark.parametrize(("size", "stride"), [(0, 1), (1, 0), (4, -4)])
def test_unfit_sizes(size, stride):
    with pytest.raises(ConfigError, match="wanted at least 1"):
        patch_windows((8, 8), size=size, stride=stride)


def test_written_patches_are_what_was_there(tmp_path):
    pairs = {
        "a": (noise(1, (64, 96, 3)), square((64, 96)).astype(np.uint16) * 300),
        "small": (noise(2, (16, 16)), square((16, 16), 2, 5)),
    }
    store = store_of(pairs, splits={"a": "val"})
    ticks = []
    count = write_patches(store, tmp_path / "p.h5", size=32, tick=lambda: ticks.append(1))
    assert (count.images, count.kept, count.dropped, count.too_small, len(ticks)) == (1, 6, 0, 1, 2)
    cut = Store.open(tmp_path / "p.h5")
    assert [item.name for item in cut.items][:2] == ["a_r0000_c0000", "a_r0000_c0032"]
    assert {item.split for item in cut.items} == {"val"}
    np.testing.assert_array_equal(cut.image("a_r0032_c0064"), pairs["a"][0][32:64, 64:96])
    # The only id, 300, is renumbered.
    np.testing.assert_array_equal(cut.labels("a_r0000_c0000"), square((32, 32)))
    assert cut.manifest.notes == ("patches of 32 × 32 px every 32 px; ids renumbered in each",)


def test_ids_are_numbered_anew_in_their_order_unless_they_hold_across_slices():
    labels = np.array([[9, 9, 0, 7], [2, 9, 7, 7]], np.uint16)
    pairs = {"a": (noise(1, (2, 4)), labels)}
    for ids, left, right in (("2d", [[2, 2], [1, 2]], [[0, 1], [1, 1]]), ("3d", labels[:, :2], labels[:, 2:])):
        found = list(cut_patches(store_of(pairs, volume="v", ids=ids), size=2))
        np.testing.assert_array_equal(found[0].labels, left)
        np.testing.assert_array_equal(found[1].labels, right)
        assert found[0].labels.dtype == np.uint16


def test_patches_of_a_volume_stay_volumes(tmp_path):
    pairs = {f"s{z}": (noise(z), square(first=2 + z)) for z in range(3)}
    write_patches(store_of(pairs, volume="v", ids="3d"), tmp_path / "p.zarr", size=32)
    cut = Store.open(tmp_path / "p.zarr")
    assert cut.volumes == ("v_r0000_c0000", "v_r0000_c0032", "v_r0032_c0000", "v_r0032_c0032")
    assert cut.manifest.ids == "3d"
    np.testing.assert_array_equal(
        cut.volume("v_r0000_c0032").image(), np.stack([pair[0][:32, 32:] for pair in pairs.values()])
    )


def test_nothing_left_is_said(tmp_path):
    store = store_of({"a": (noise(1), np.zeros((64, 64), np.uint8))})
    with pytest.raises(InputError, match=r"no image of memory\.h5 holds a patch of 65 × 65: they are 64 × 64"):
        write_patches(store, tmp_path / "p.h5", size=65)
    with pytest.raises(InputError, match=r"none of the 4 patches of memory\.h5 has foreground"):
        write_patches(store, tmp_path / "p.h5", size=32, min_foreground=1)
    with pytest.raises(InputError, match="a has no labels"):
        list(cut_patches(store_of({"a": (noise(1), None)}), size=32, min_foreground=1))
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_goes_on(tmp_path):
    store = store_of({name: (noise(n), square()) for n, name in enumerate("abc")})
    ticks = []

    def interrupt() -> None:
        ticks.append(1)
        if len(ticks) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_patches(store, tmp_path / "p.h5", size=32, tick=interrupt)
    assert not (tmp_path / "p.h5").exists()
    with pytest.raises(InputError, match="another source or other settings"):
        write_patches(store, tmp_path / "p.h5", size=16)
    assert write_patches(store, tmp_path / "p.h5", size=32).kept == 12
    assert len(Store.open(tmp_path / "p.h5")) == 12


def test_images_without_labels_are_cut_too():
    found = list(cut_patches(store_of({"a": (noise(1), None)}), size=32))
    assert [patch.labels for patch in found] == [None] * 4
