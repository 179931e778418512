"""Which images a config trains on, and which of an user's prompts."""

from pathlib import Path

import numpy as np
import pytest
from blobs import discs, small_config, write_discs
from memory_store import write_store

from autosam.config import Config
from autosam.data.store import Store
from autosam.errors import ConfigError, InputError
from autosam.images import write_png
from autosam.training.samples.load_images import load_part, load_unlabeled

POINT = "object,row,col,label\n1,16,17,1\n"


def store(path: Path, count: int) -> Path:
    pairs = {}
    for seed in range(count):
        image, labels = discs(seed, 64)
        pairs[f"d{seed}"] = (image[..., 0], labels.astype("uint8"))
    write_store(path, pairs)
    Store.open(path).with_splits({f"d{seed}": "val" if seed == 0 else "train" for seed in range(count)})
    return path


def sources(*entries: str, fraction: float = 1.0) -> Config:
    return small_config(f"data.sources=[{', '.join(entries)}]", f"data.fraction={fraction}")


def names(data: Path, config: Config, part: str = "train") -> list[str]:
    return [labeled_image.name for labeled_image in load_part(data, config, part)]


@pytest.mark.parametrize(("fraction", "train"), [(1.0, ["0", "1", "2", "3"]), (0.5, ["1", "3"]), (0.01, ["2"])])
def test_a_share_of_the_training_images(tmp_path: Path, fraction: float, train: list[str]) -> None:
    config = small_config(f"data.fraction={fraction}")
    write_discs(tmp_path, 5)
    assert names(tmp_path, config) == [f"data/{stem}" for stem in train]
    assert names(tmp_path, config, "val") == ["data/4"]


def test_the_share_of_a_split_file_is_spread_by_name(tmp_path: Path) -> None:
    write_discs(tmp_path, 5)
    (tmp_path / "s.json").write_text('{"data": {"train": ["4", "0", "2", "1"], "val": ["3"]}}')
    assert names(tmp_path, small_config("data.split=s.json", "data.fraction=0.5")) == ["data/1", "data/4"]


def test_left_out_images_are_not_read(tmp_path: Path) -> None:
    write_discs(tmp_path, 5)
    (tmp_path / "images" / "0.png").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"0\.png"):
        load_part(tmp_path, small_config(), "train")
    assert names(tmp_path, small_config("data.fraction=0.5")) == ["data/1", "data/3"]


def test_every_source_gives_its_share_stores_too(tmp_path: Path) -> None:
    write_discs(tmp_path / "a", 5)
    store(tmp_path / "b.h5", 5)
    entries = ("{name: a, images: a/images, labels: a/labels}", "{name: b, images: b.h5, labels: b.h5}")
    assert names(tmp_path, sources(*entries, fraction=0.5)) == ["a/1", "a/3", "b/d2", "b/d4"]
    assert names(tmp_path, sources(*entries, fraction=0.5), "val") == ["a/4", "b/d0"]


def test_a_store_alone_gives_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store(tmp_path / "s.h5", 5)
    read: list[int | str] = []
    whole = Store.image

    def counted(self: Store, which: int | str) -> object:
        read.append(which)
        return whole(self, which)

    monkeypatch.setattr(Store, "image", counted)
    assert names(path, small_config("data.fraction=0.25")) == ["test/d3"]
    assert read == ["d3"]
    with pytest.raises(ConfigError, match="no effect but fraction"):
        load_part(path, small_config("data.fraction=0.25", "data.split=s.json"), "train")


@pytest.mark.parametrize("kind", ["folders", "store"])
def test_prompts_are_for_training_alone(tmp_path: Path, kind: str) -> None:
    if kind == "folders":
        write_discs(tmp_path, 5)
        entry, first, last = "{name: s, images: images, labels: labels, prompts: clicks}", "1", "4"
    else:
        store(tmp_path / "s.h5", 5)
        entry, first, last = "{name: s, images: s.h5, labels: s.h5, prompts: clicks}", "d1", "d0"
    (tmp_path / "clicks").mkdir()
    with pytest.raises(InputError, match=r"none of the 4 training images of s has a table in .*clicks"):
        load_part(tmp_path, sources(entry), "train")
    (tmp_path / "clicks" / f"{first}.csv").write_text(POINT)
    (tmp_path / "clicks" / f"{last}.csv").write_text("nonsense")  # a validation image's: not read
    prompts = {
        labeled_image.name: labeled_image.prompts for labeled_image in load_part(tmp_path, sources(entry), "train")
    }
    assert [len(of_image) for name, of_image in prompts.items() if name != f"s/{first}"] == [0, 0, 0]
    assert prompts[f"s/{first}"][0].points.tolist() == [[16, 17]]
    (val,) = load_part(tmp_path, sources(entry), "val")
    assert val.prompts == ()
    (tmp_path / "clicks" / f"{first}.csv").write_text(POINT.replace("16", "960"))
    with pytest.raises(InputError, match=rf"1 fault in .*{first}\.csv.* lies outside the image") as error:
        load_part(tmp_path, sources(entry), "train")
    assert "\n" not in str(error.value)


def unlabeled(*names: str) -> Config:
    return small_config(f"data.unlabeled=[{', '.join(names)}]", "training.augment.spectrum=0.5")


def test_images_without_labels_are_read_in_gray_beside_the_data(tmp_path: Path) -> None:
    write_discs(tmp_path, 2)
    (tmp_path / "more").mkdir()
    for name in ("a", "b"):
        write_png(tmp_path / "more" / f"{name}.png", np.arange(60, dtype=np.uint8).reshape(6, 10) * 4)
    images = load_unlabeled(tmp_path, unlabeled("more", "images/1.png"))
    assert [image.shape for image in images] == [(6, 10), (6, 10), (96, 96)]
    assert all(image.dtype == np.uint8 for image in images)
    # Normalized over the whole image.
    assert (images[0].min(), images[0].max()) == (0, 255)
    assert load_unlabeled(tmp_path, small_config()) == []
    # What looks like a pattern may be the name of a folder.
    write_discs(tmp_path / "a [1]", 2)
    assert len(load_unlabeled(tmp_path / "a [1]", unlabeled("'images/*.png'"))) == 2
    # A store lies beside them.
    path = store(tmp_path / "s.h5", 2)
    assert len(load_unlabeled(path, unlabeled("more"))) == 2
    assert names(path, unlabeled("more")) == ["test/d1"]


def test_of_very_many_some_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autosam.training.samples.load_images.MOST_UNLABELED", 2)
    write_discs(tmp_path, 5)
    assert len(load_unlabeled(tmp_path, unlabeled("images"))) == 2


def test_of_a_very_large_one_the_middle_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "more").mkdir()
    # Ramps along the columns, 0 to 255 as they are.
    ramp = np.tile(np.arange(256, dtype=np.uint8), (5, 1))
    write_png(tmp_path / "more" / "a.png", ramp)
    whole = load_unlabeled(tmp_path, unlabeled("more"))[0]
    monkeypatch.setattr("autosam.training.samples.load_images.UNLABELED_SIDE", 6)
    (image,) = load_unlabeled(tmp_path, unlabeled("more"))
    np.testing.assert_array_equal(image, whole[:, 125:131])


def test_images_that_are_missing_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^data\.unlabeled: .* matches no image"):
        load_unlabeled(tmp_path, unlabeled("'nowhere/*.tif'"))
    with pytest.raises(InputError, match=r"^data\.unlabeled: no file or folder .*nowhere; correct") as error:
        load_unlabeled(tmp_path, unlabeled("nowhere"))
    assert "\n" not in str(error.value)


def test_a_known_pixel_size_becomes_a_zoom_of_folders_and_stores(tmp_path: Path) -> None:
    write_discs(tmp_path / "a", 2)
    store(tmp_path / "b.h5", 2)
    a = "{name: a, images: a/images, labels: a/labels, pixel_size: 10}"
    b = "{name: b, images: b.h5, labels: b.h5, pixel_size: 2.5}"
    c = "{name: c, images: a/images, labels: a/labels}"
    config = small_config(f"data.sources=[{a}, {b}, {c}]", "images.pixel_size=5")
    zooms = {one.source: one.zoom for part in ("train", "val") for one in load_part(tmp_path, config, part)}
    assert zooms == {"a": 2.0, "b": 0.5, "c": None}


def test_a_pixel_size_needs_that_of_the_model() -> None:
    with pytest.raises(ConfigError, match=r"pixel size of a, and images\.pixel_size"):
        small_config("data.sources=[{name: a, images: a, labels: b, pixel_size: 10}]")
