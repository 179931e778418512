"""Aligned images of one scene: how their files are found and read, and what the networks see of them."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from with_defaults import normalize, normalize_channels

from autosam.errors import InputError
from autosam.images.channels import mean_picture
from autosam.images.image_source import ImageSource
from autosam.images.multichannel import find_channels, read_channels, split_channels
from autosam.images.source import find_sources

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4)


def sources(*names: str) -> list[ImageSource]:
    return [ImageSource(Path(name)) for name in names]


# What the networks see


def test_one_image_is_what_normalize_gives():
    for image in (RAMP, np.stack([RAMP] * 3, axis=2)):
        for combine in ("input", "avg", "max"):
            (plane,) = normalize_channels(image, combine=combine)
            np.testing.assert_array_equal(plane, normalize(image))


@pytest.mark.parametrize("count", [2, 3])
def test_input_normalizes_each_color_on_its_own(count):
    channels = [RAMP * 20, RAMP.astype(np.uint16) + 500, -RAMP.astype(np.float64)][:count]
    (plane,) = normalize_channels(channels, combine="input", low=0, high=100)
    ramp = RAMP / 11
    expected = [ramp, ramp, 1 - ramp][:count] + [np.zeros((3, 4))] * (3 - count)
    np.testing.assert_allclose(plane, np.stack(expected, axis=2), atol=1e-6)
    assert plane.dtype == np.float32


def test_the_mean_picture_by_hand():
    planes = normalize_channels([RAMP, 11 - RAMP, np.full((3, 4), 3)], combine="avg", low=0, high=100)
    # The constant channel has nothing to show.
    assert len(planes) == 2
    np.testing.assert_allclose(mean_picture(planes), np.full((3, 4, 3), 0.5), atol=1e-6)
    assert mean_picture(planes[:1]) is planes[0]


def test_of_constant_channels_one_is_left():
    (plane,) = normalize_channels([np.zeros((2, 2)), np.ones((2, 2))], combine="max")
    np.testing.assert_array_equal(plane, np.zeros((2, 2, 3)))


def test_percentiles_and_missing_pixels_are_passed_on():
    holed = np.where(RAMP == 5, np.nan, RAMP)
    with pytest.raises(InputError, match=r"^channel 1: 1 of 12 pixels"):
        normalize_channels([RAMP, holed])
    planes = normalize_channels([RAMP, holed], combine="max", low=10, high=90, non_finite="background")
    np.testing.assert_array_equal(planes[0], normalize(RAMP, low=10, high=90))
    np.testing.assert_array_equal(planes[1], normalize(holed, low=10, high=90, non_finite="background"))


# Which files belong together


def test_files_are_grouped_by_what_comes_before_the_ending():
    found = find_channels(
        sources("in/b_gfp.png", "in/a_dapi.tif", "in/notes.png", "in/a_gfp.ome.tif", "in/b_dapi.tif"),
        ["_dapi", "_gfp"],
    )
    assert [(scene.name, scene.image, str(scene)) for scene in found.images] == [
        ("b", "b", "in/b_dapi.tif + in/b_gfp.png"),
        ("a", "a", "in/a_dapi.tif + in/a_gfp.ome.tif"),
    ]
    assert found.left_out == sources("in/notes.png")


def test_pages_are_grouped_page_by_page():
    stacks = [ImageSource(Path(f"s_{c}.tif"), page=page, pages=11) for c in "ab" for page in range(11)]
    scenes = find_channels(stacks, ["_a", "_b"]).images
    assert [scene.name for scene in scenes][:2] == ["s_p00", "s_p01"]
    assert [str(source) for source in scenes[10].sources] == ["s_a.tif[10]", "s_b.tif[10]"]


def test_the_longest_ending_counts_and_a_bare_ending_is_no_name():
    found = find_channels(sources("x1.tif", "x11.tif", "1.tif"), ["1", "11"])
    assert [(scene.name, str(scene)) for scene in found.images] == [("x", "x1.tif + x11.tif")]
    assert found.left_out == sources("1.tif")


def test_all_that_is_missing_is_named_in_one_line():
    with pytest.raises(InputError) as caught:
        find_channels(sources("a_r.tif", "a_g.tif", "b_g.tif", "c_b.tif"), ["_r", "_g", "_b"])
    message = str(caught.value)
    assert "3 of 3 images lack a channel" in message
    for named in ("no a_b beside a_r.tif", "no b_r and b_b beside b_g.tif", "no c_r and c_g beside c_b.tif"):
        assert named in message
    assert "\n" not in message
    with pytest.raises(InputError, match="and so on for 4 more"):
        find_channels(sources(*(f"{number}_r.tif" for number in range(9))), ["_r", "_g"])
    with pytest.raises(InputError, match=r"s_b \(page 1\) beside s_a.tif\[1\]"):
        find_channels(
            [ImageSource(Path("s_a.tif"), page=p, pages=2) for p in (0, 1)]
            + [ImageSource(Path("s_b.tif"), page=0, pages=2)],
            ["_a", "_b"],
        )


@pytest.mark.parametrize(
    ("names", "endings", "message"),
    [
        (["a.tif"], [], "missing"),
        (["a.tif"], ["_r", ""], "'_r', ''"),
        (["a_r.tif"], ["_r", "_r"], "all different"),
        (["a.tif", "b.tif"], ["_r", "_g"], "none of the 2 names ends in _r or _g; correct the endings"),
        (["a_r.tif", "a_r.png", "a_g.tif"], ["_r", "_g"], "a_r.tif and a_r.png are both the channel _r of a"),
        (["p/a_r.tif", "q/A_r.tif"], ["_r"], "would both write"),
    ],
)
def test_endings_and_files_that_do_not_fit(names, endings, message):
    with pytest.raises(InputError, match=message):
        find_channels(sources(*names), endings)


# Their pixels


def test_channels_of_several_files(tmp_path):
    for name, image in (("a_r", RAMP), ("a_g", RAMP.astype(np.uint16) + 300)):
        tifffile.imwrite(tmp_path / f"{name}.tif", image, photometric="minisblack")
    (scene,) = find_channels(find_sources([tmp_path]), ["_r", "_g"]).images
    red, green = read_channels(scene)
    np.testing.assert_array_equal(red, RAMP)
    np.testing.assert_array_equal(green, RAMP.astype(np.uint16) + 300)
    assert scene.resolved().sources[0].path.is_absolute()


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("last", [True, False])
def test_channels_of_one_tiff(tmp_path, count, last):
    stack = np.random.default_rng(0).integers(0, 999, (count, 20, 30), dtype=np.uint16)
    path = tmp_path / "a.ome.tif"
    if last:
        samples = ["unspecified"] * (count - 1)
        tifffile.imwrite(
            path,
            stack.transpose(1, 2, 0),
            photometric="minisblack",
            planarconfig="contig",
            extrasamples=samples,
            metadata=None,
            ome=False,
        )
    else:
        tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": "CYX"})
    (scene,) = split_channels(find_sources([path]))
    assert (scene.name, scene.image, str(scene)) == ("a", "a.ome.tif", str(path))
    channels = read_channels(scene)
    assert len(channels) == count
    for channel, expected in zip(channels, stack, strict=True):
        np.testing.assert_array_equal(channel, expected)


def test_gray_is_one_channel_and_transparency_none(tmp_path):
    tifffile.imwrite(tmp_path / "gray.tif", RAMP, photometric="minisblack")
    colors = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "rgba.tif", colors, photometric="rgb", extrasamples=["unassalpha"])
    gray, rgba = split_channels(find_sources([tmp_path]))
    assert len(read_channels(gray)) == 1
    np.testing.assert_array_equal(np.stack(read_channels(rgba), axis=2), colors[..., :3])
