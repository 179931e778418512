"""Readers of file formats: what each tells of its images, and the choice among images and channels."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from autosam.errors import InputError
from autosam.images import find_sources, read_image
from autosam.images.multichannel import read_channels, split_channels
from autosam.images.read import read_pixels
from autosam.images.readers import FORMATS, Selection, StoredImage, format_of, reader_of, suffixes

GRAY = np.arange(12 * 17, dtype=np.uint8).reshape(12, 17)
CHANNELS = np.stack([GRAY, GRAY[::-1], GRAY[:, ::-1], 255 - GRAY])


def write(path: Path, array: np.ndarray, axes: str, **options: object) -> Path:
    kind = {"ome": True} if path.name.endswith(".ome.tif") else {"imagej": True}
    tifffile.imwrite(path, array, **kind, photometric="minisblack", metadata={"axes": axes, **options})
    return path


def test_every_suffix_has_one_reader() -> None:
    assert len(suffixes()) == len(set(suffixes()))
    for form in FORMATS:
        for suffix in form.suffixes:
            assert format_of(Path("a" + suffix.upper())) is form
    with pytest.raises(InputError, match=r"a\.xyz: unknown suffix '\.xyz'; known: \.tif"):
        reader_of(Path("a.xyz"))


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
@pytest.mark.parametrize("axes", ["CYX", "ZCYX", "TCYX", "TZCYX"])
def test_a_channel_axis_is_no_color(tmp_path: Path, name: str, axes: str) -> None:
    for count in (2, 3, 4):
        lead = {"Z": 3, "T": 2}
        shape = [lead[axis] for axis in axes if axis in lead]
        stack = np.stack([np.roll(CHANNELS[:count], i, axis=-1) for i in range(int(np.prod(shape)))])
        path = write(tmp_path / name, stack.reshape(*shape, *stack.shape[1:]), axes)
        found = find_sources([path])
        assert len(found) == len(stack)
        for number, source in enumerate(found):
            pixels = read_pixels(source)
            assert isinstance(pixels, list)
            np.testing.assert_array_equal(np.stack(pixels), stack[number])
        for wanted in range(count):
            for number, source in enumerate(find_sources([path], Selection(channel=wanted))):
                np.testing.assert_array_equal(read_pixels(source), stack[number, wanted])


@pytest.mark.parametrize("axes", ["CZYX", "CTYX", "CTZYX", "ZCTYX"])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_axes_of_ome_come_in_any_order(tmp_path: Path, axes: str, options: dict[str, str]) -> None:
    lengths = {"T": 2, "Z": 5, "C": 3, "Y": 12, "X": 17}
    stack = np.random.default_rng(0).integers(0, 255, [lengths[axis] for axis in axes], dtype=np.uint8)
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, stack, ome=True, photometric="minisblack", metadata={"axes": axes}, **options)
    # Times and slices stay in the order of the file, and the channels of each come together.
    lead = [axis for axis in axes if axis in "TZ"]
    planes = stack.transpose([axes.index(axis) for axis in (*lead, *"CYX")]).reshape(-1, 3, 12, 17)
    found = find_sources([path])
    assert len(found) == len(planes)
    for source, plane in zip(found, planes, strict=True):
        np.testing.assert_array_equal(np.stack(read_pixels(source)), plane)
    if "Z" in axes:
        for number, source in enumerate(find_sources([path], Selection(z=4, channel=2))):
            at = {"Z": 4, "T": number, "C": 2}
            index = tuple(at.get(axis, slice(None)) for axis in axes)
            np.testing.assert_array_equal(read_pixels(source), stack[index])


def test_positions_are_chosen_and_keep_their_names(tmp_path: Path) -> None:
    stack = np.stack([np.roll(GRAY, i) for i in range(24)]).reshape(4, 6, 12, 17)
    path = write(tmp_path / "a.tif", stack, "TZYX")
    chosen = find_sources([path], Selection(z=2))
    assert [source.name for source in chosen] == ["a_p02", "a_p08", "a_p14", "a_p20"]
    for time, source in enumerate(chosen):
        np.testing.assert_array_equal(read_image(source), stack[time, 2])
    (one,) = find_sources([path], Selection(z=5, time=3))
    np.testing.assert_array_equal(read_image(one), stack[3, 5])
    assert len(find_sources([path], Selection(time=0))) == 6
    with pytest.raises(InputError, match=r"a\.tif: z 6 was asked for; it has 0 to 5\."):
        find_sources([path], Selection(z=6))
    with pytest.raises(InputError, match=r"a\.tif: series 1 was asked for; it has no such axis\."):
        find_sources([path], Selection(series=1))
    with pytest.raises(InputError, match="no resolution levels; level 1"):
        find_sources([path], Selection(level=1))


def test_pages_without_names_of_axes_are_slices(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", CHANNELS, photometric="minisblack")
    (source,) = find_sources([tmp_path], Selection(z=3))
    assert source.name == "a_p3"
    np.testing.assert_array_equal(read_image(source), CHANNELS[3])


def test_a_wrong_channel_is_refused_with_those_there_are() -> None:
    image = StoredImage((5, 6), channels=3, channel_names=("DAPI", "gfp", "GFP"))
    assert [Selection(channel=c).channel_of(image, "a") for c in (0, "1", "dapi", "GFP", None)] == [
        0,
        1,
        0,
        2,
        None,
    ]
    for wanted in ("3", "cy5"):
        with pytest.raises(
            InputError, match=rf"a\.tif has no channel {wanted}; .* from 0: 0 \(DAPI\), 1 \(gfp\), 2 \(GFP\)"
        ):
            Selection(channel=wanted).channel_of(image, "a.tif")
    with pytest.raises(InputError, match="2 channels are called Gfp; give the number"):
        Selection(channel="Gfp").channel_of(image, "a.tif")
    numbers = StoredImage((5, 6), channels=2, channel_names=("405", "488"))
    assert Selection(channel="488").channel_of(numbers, "a") == 1
    colors = StoredImage((5, 6), channels=3, color=True)
    assert Selection(channel="green").channel_of(colors, "a") == 1
    with pytest.raises(InputError, match=r"a has no channel 1; .* 0"):
        Selection(channel=1).channel_of(StoredImage((5, 6)), "a")


def test_one_channel_of_colors(tmp_path: Path) -> None:
    colors = np.moveaxis(CHANNELS[:3], 0, -1)
    tifffile.imwrite(tmp_path / "a.tif", colors, photometric="rgb")
    tifffile.imwrite(tmp_path / "b.tif", CHANNELS[:3], photometric="rgb", planarconfig="separate")
    Image.fromarray(colors).save(tmp_path / "c.png")
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["x"] = colors
    for source in find_sources([tmp_path], Selection(channel="green")):
        np.testing.assert_array_equal(read_image(source), CHANNELS[1])
    for source in find_sources([tmp_path]):
        np.testing.assert_array_equal(read_pixels(source), colors)


@pytest.mark.parametrize(
    ("photometric", "extra", "kept"),
    [
        ("rgb", ["unassalpha"], 3),
        ("rgb", ["assocalpha"], 3),
        ("rgb", ["unspecified"], 4),
        ("minisblack", ["unspecified"] * 3, 4),
        ("minisblack", ["unspecified", "unspecified", "unassalpha"], 3),
    ],
)
def test_only_declared_transparency_is_dropped(
    tmp_path: Path, photometric: str, extra: list[str], kept: int
) -> None:
    pixels = np.moveaxis(CHANNELS, 0, -1)
    for planes in ("contig", "separate"):
        data = pixels if planes == "contig" else CHANNELS
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, data, photometric=photometric, planarconfig=planes, extrasamples=extra)
        if kept == 3:
            np.testing.assert_array_equal(read_pixels(path), pixels[..., :3])
            continue
        with pytest.raises(
            InputError, match=r"a\.tif has 4 channels, and does not say whether .* \(--channel 0\)"
        ):
            read_pixels(path)
        (source,) = split_channels(find_sources([path]))
        np.testing.assert_array_equal(np.stack(read_channels(source)), CHANNELS)
        (one,) = find_sources([path], Selection(channel=3))
        np.testing.assert_array_equal(read_pixels(one), CHANNELS[3])


def test_three_deep_samples_of_which_nothing_is_said_are_channels(tmp_path: Path) -> None:
    deep = np.moveaxis(CHANNELS[:3], 0, -1).astype(np.uint16) * 200
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, deep, photometric="minisblack", planarconfig="contig")
    read = read_pixels(path)
    assert isinstance(read, list)
    np.testing.assert_array_equal(np.stack(read, axis=-1), deep)
    np.testing.assert_array_equal(read_image(path), deep)


def test_no_more_channels_than_one_color_image_are_read_as_an_image(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", CHANNELS, "CYX")
    with pytest.raises(InputError, match=r"a\.tif has 4 channels; wanted 1 \(gray\) or 3 \(RGB\): choose one"):
        read_image(path)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["x"] = np.moveaxis(CHANNELS, 0, -1)
    with pytest.raises(InputError, match="has 4 channels"):
        read_image(tmp_path / "b.h5")
    (source,) = find_sources([tmp_path / "b.h5"], Selection(channel=3))
    np.testing.assert_array_equal(read_image(source), CHANNELS[3])
