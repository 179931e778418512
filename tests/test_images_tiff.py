"""TIFF: sets of OME-TIFFs, planes that are not there, and files in which zero is white."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from xml.sax.saxutils import quoteattr

import imagecodecs
import numpy as np
import pytest
import tifffile

from autosam.errors import InputError
from autosam.images import find_sources, read_image, read_labels, read_pixel_size
from autosam.images.read import read_pixels
from autosam.images.readers import Selection

RNG = np.random.default_rng(0)
SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def ome_xml(
    sizes: dict[str, int],
    files: dict[str, list[tuple[int, int, int]]],
    own: str,
    *,
    shape: tuple[int, int],
    extra: str = "",
) -> str:
    """XML of a set: `files` says which planes (t, c, z) are the pages of each file."""
    ids = {name: f"urn:uuid:{number:032d}" for number, name in enumerate(files)}
    data = "".join(
        f'<TiffData FirstT="{t}" FirstC="{c}" FirstZ="{z}" IFD="{ifd}" PlaneCount="1">'
        f"<UUID FileName={quoteattr(name)}>{ids[name]}</UUID></TiffData>"
        for name, planes in files.items()
        for ifd, (t, c, z) in enumerate(planes)
    )
    channels = "".join(
        f'<Channel ID="Channel:0:{c}" Name="stain {c}" SamplesPerPixel="1"/>' for c in range(sizes["C"])
    )
    counts = " ".join(f'Size{axis}="{n}"' for axis, n in sizes.items())
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{SCHEMA}" UUID="{ids.get(own, own)}">'
        f'<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" '
        f'SizeX="{shape[1]}" SizeY="{shape[0]}" {counts} '
        f'PhysicalSizeX="0.2" PhysicalSizeY="0.2" {extra}>{channels}{data}</Pixels></Image></OME>'
    )


def write_set(
    folder: Path, stack: np.ndarray, file_of: Callable[[int, int, int], str], **options: object
) -> dict[str, list[tuple[int, int, int]]]:
    """Write a (T, C, Z, H, W) stack as a set; every file tells of all."""
    files: dict[str, list[tuple[int, int, int]]] = {}
    for place in product(*map(range, stack.shape[:3])):
        files.setdefault(file_of(*place), []).append(place)
    sizes = dict(zip("TCZ", stack.shape[:3], strict=True))
    for name, planes in files.items():
        xml = ome_xml(sizes, files, name, shape=stack.shape[3:])
        with tifffile.TiffWriter(folder / name) as writer:
            for number, place in enumerate(planes):
                description = xml.encode() if number == 0 else None
                writer.write(stack[place], description=description, metadata=None, contiguous=False, **options)
    return files


def stack_of(t: int, c: int, z: int) -> np.ndarray:
    return RNG.integers(0, 255, (t, c, z, 16, 32), dtype=np.uint8)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}])
@pytest.mark.parametrize(
    ("sizes", "file_of"),
    [
        ((1, 1, 3), lambda t, c, z: f"s_Z{z}.ome.tif"),
        ((4, 1, 1), lambda t, c, z: f"s_T{t}.ome.tif"),
        ((1, 3, 1), lambda t, c, z: f"s_C{c}.ome.tif"),
        ((2, 2, 3), lambda t, c, z: f"s_T{t}_C{c}_Z{z}.ome.tif"),
    ],
)
def test_a_file_of_a_set_gives_its_own_plane(
    tmp_path: Path,
    sizes: tuple[int, int, int],
    file_of: Callable[[int, int, int], str],
    options: dict[str, object],
) -> None:
    stack = stack_of(*sizes)
    files = write_set(tmp_path, stack, file_of, **options)
    found = find_sources([tmp_path])
    assert [source.path.name for source in found] == sorted(files)
    for source in found:
        assert source.page is None
        np.testing.assert_array_equal(read_pixels(source), stack[files[source.path.name][0]])
        np.testing.assert_array_equal(read_labels(source.path), stack[files[source.path.name][0]])
        assert read_pixel_size(source) == pytest.approx(200)
        # The other files need not be there.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "is_file", lambda path: False)
            np.testing.assert_array_equal(read_pixels(source), stack[files[source.path.name][0]])


def test_a_file_of_a_set_with_all_channels_of_its_slices(tmp_path: Path) -> None:
    stack = stack_of(2, 3, 2)
    write_set(tmp_path, stack, lambda t, c, z: f"time {t}.ome.tif")
    found = find_sources([tmp_path / "time 1.ome.tif"])
    assert [source.name for source in found] == ["time 1_p0", "time 1_p1"]
    for z, source in enumerate(found):
        np.testing.assert_array_equal(np.stack(read_pixels(source)), stack[1, :, z])
    (one,) = find_sources([tmp_path / "time 1.ome.tif"], Selection(channel="stain 2", z=1))
    np.testing.assert_array_equal(read_pixels(one), stack[1, 2, 1])


def test_a_file_of_a_set_with_one_channel_keeps_its_name(tmp_path: Path) -> None:
    stack = stack_of(1, 2, 3)
    write_set(tmp_path, stack, lambda t, c, z: f"c{c}.ome.tif")
    found = find_sources([tmp_path / "c1.ome.tif"], Selection(channel="stain 1"))
    assert len(found) == 3
    for z, source in enumerate(found):
        np.testing.assert_array_equal(read_pixels(source), stack[0, 1, z])


def test_a_file_that_ends_within_a_slice_gives_its_pages(tmp_path: Path) -> None:
    stack = stack_of(1, 2, 3)
    # 4 of 6 planes, and the others: no full grid.
    files = write_set(tmp_path, stack, lambda t, c, z: "first.ome.tif" if 3 * c + z < 4 else "second.ome.tif")
    for name, planes in files.items():
        found = find_sources([tmp_path / name])
        assert len(found) == len(planes)
        for source, place in zip(found, planes, strict=True):
            np.testing.assert_array_equal(read_pixels(source), stack[place])


def test_a_renamed_file_of_a_set_knows_its_planes(tmp_path: Path) -> None:
    stack = stack_of(1, 1, 2)
    write_set(tmp_path, stack, lambda t, c, z: f"z{z}.ome.tif")
    (tmp_path / "z1.ome.tif").rename(tmp_path / "b.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif"), stack[0, 0, 1])


def test_a_renamed_file_without_an_id_is_no_set(tmp_path: Path) -> None:
    stack = stack_of(1, 1, 2)
    xml = ome_xml({"T": 1, "C": 1, "Z": 2}, {"a.ome.tif": [(0, 0, 0), (0, 0, 1)]}, "", shape=(16, 32))
    tifffile.imwrite(
        tmp_path / "b.ome.tif", stack[0, 0], description=xml.replace(' UUID=""', "").encode(), metadata=None
    )
    for z, source in enumerate(find_sources([tmp_path / "b.ome.tif"])):
        np.testing.assert_array_equal(read_image(source), stack[0, 0, z])


@pytest.mark.parametrize("metadata", ["set.companion.ome", "master.ome.tif"])
def test_metadata_in_a_file_of_its_own(tmp_path: Path, metadata: str) -> None:
    stack = stack_of(1, 2, 2)
    files = {f"c{c}.ome.tif": [(0, c, 0), (0, c, 1)] for c in range(2)}
    whole = ome_xml({"T": 1, "C": 2, "Z": 2}, files, metadata, shape=(16, 32))
    if metadata.endswith(".tif"):
        tifffile.imwrite(tmp_path / metadata, stack[0, 0, 0], description=whole.encode(), metadata=None)
    else:
        (tmp_path / metadata).write_text(whole)
    for number, name in enumerate(files):
        reference = f'<BinaryOnly MetadataFile="{metadata}" UUID="m"/>'
        xml = f'<OME xmlns="{SCHEMA}" UUID="urn:uuid:{number:032d}">{reference}</OME>'
        tifffile.imwrite(tmp_path / name, stack[0, number], description=xml.encode(), metadata=None)
    for c, name in enumerate(files):
        for z, source in enumerate(find_sources([tmp_path / name])):
            np.testing.assert_array_equal(read_pixels(source), stack[0, c, z])
            assert read_pixel_size(source) == pytest.approx(200)
    (tmp_path / metadata).unlink()
    for c, name in enumerate(files):
        for z, source in enumerate(find_sources([tmp_path / name])):
            np.testing.assert_array_equal(read_pixels(source), stack[0, c, z])


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_planes_that_are_not_there_are_named(tmp_path: Path, compression: str | None) -> None:
    stack = stack_of(1, 2, 3)
    for sizes, words in (({"T": 1, "C": 1, "Z": 5}, "lacks Z3;"), ({"T": 1, "C": 5, "Z": 1}, "lacks C3, C4;")):
        places = [(0, i, 0) if sizes["C"] > 1 else (0, 0, i) for i in range(5)]
        xml = ome_xml(sizes, {"a.ome.tif": places}, "a.ome.tif", shape=(16, 32))
        with tifffile.TiffWriter(tmp_path / "a.ome.tif") as writer:
            for z in range(3):
                writer.write(
                    stack[0, 0, z], description=xml.encode() if z == 0 else None, metadata=None, contiguous=False,
                    compression=compression,
                )  # fmt: skip
        found = find_sources([tmp_path])
        if sizes["Z"] > 1:
            for z in range(3):
                np.testing.assert_array_equal(read_image(found[z]), stack[0, 0, z])
        with pytest.raises(InputError, match=rf"a\.ome\.tif: of the planes .* the file {words}"):
            read_pixels(found[-2 if len(found) > 1 else 0])
        with pytest.raises(InputError, match="the file lacks"):
            read_labels(tmp_path / "a.ome.tif")


@pytest.mark.parametrize(
    "inner",
    [
        "<broken>",
        "<Image><Pixels/></Image>",
        '<Image><Pixels DimensionOrder="XYZCT" SizeX="32" SizeY="16" SizeZ="x" SizeC="1" SizeT="1"/></Image>',
        '<BinaryOnly MetadataFile="damaged.companion.ome" UUID="m"/>',
        '<BinaryOnly UUID="m"/>',
        '<Image><Pixels DimensionOrder="XYZCT" SizeX="32" SizeY="16" SizeZ="2" SizeC="1" SizeT="1">'
        '<TiffData FirstZ="7"><UUID FileName="a.ome.tif">a</UUID></TiffData>'
        '<TiffData><UUID FileName="b">b</UUID></TiffData></Pixels></Image>',
    ],
)
def test_damaged_xml_leaves_the_pages(tmp_path: Path, inner: str) -> None:
    (tmp_path / "damaged.companion.ome").write_text("<OME")
    stack = stack_of(1, 1, 2)[0, 0]
    xml = f'<OME xmlns="{SCHEMA}" UUID="u">{inner}</OME>'
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, description=xml.encode(), metadata=None)
    found = find_sources([tmp_path])
    assert len(found) == 2
    for z, source in enumerate(found):
        np.testing.assert_array_equal(read_image(source), stack[z])


def test_levels_of_a_pyramid(tmp_path: Path) -> None:
    stack = RNG.integers(0, 255, (3, 64, 96), dtype=np.uint8)
    for axes, data in (("YX", stack[0]), ("CYX", stack), ("ZYX", stack)):
        with tifffile.TiffWriter(tmp_path / "a.ome.tif") as writer:
            metadata = {"axes": axes, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
            writer.write(data, subifds=2, tile=(32, 32), metadata=metadata)
            for step in (2, 4):
                writer.write(data[..., ::step, ::step], subfiletype=1, tile=(32, 32))
        for level, side in ((0, 500), (1, 1000), (2, 2000)):
            found = find_sources([tmp_path], Selection(level=level))
            assert len(found) == (3 if axes == "ZYX" else 1)
            read = np.stack([np.stack(read_pixels(source)) for source in found])
            np.testing.assert_array_equal(read.squeeze(), data[..., :: 2**level, :: 2**level])
            assert read_pixel_size(found[0]) == pytest.approx(side)
        with pytest.raises(InputError, match=r"has the levels 0 to 2; level 3 was asked for"):
            find_sources([tmp_path], Selection(level=3))


# White is zero


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8", "?"])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}])
def test_white_is_zero_reads_as_black_is_zero(tmp_path: Path, dtype: str, options: dict[str, object]) -> None:
    values = RNG.integers(0, 200, (3, 32, 48))
    if dtype == "?":
        black, white = values > 99, values <= 99
        if "tile" in options:
            pytest.skip("tifffile writes no tiles of bits")
    elif dtype[0] == "f":
        black = values.astype(dtype) / values.max()
        white = np.asarray(1 - black, dtype=dtype)
        black = np.asarray(1 - white, dtype=dtype)
    else:
        info = np.iinfo(dtype)
        black = (values - (100 if dtype[0] == "i" else 0)).astype(dtype)
        white = (int(info.max) + int(info.min) - black.astype(object)).astype(dtype)
    for stack in (False, True):
        pair = []
        for name, photometric, pixels in (("b", "minisblack", black), ("w", "miniswhite", white)):
            path = tmp_path / f"{name}.tif"
            tifffile.imwrite(path, pixels if stack else pixels[0], photometric=photometric, **options)
            pair.append([read_image(source) for source in find_sources([path])])
        np.testing.assert_array_equal(pair[0], pair[1])
        assert pair[0][0].dtype == pair[1][0].dtype


def test_labels_are_never_inverted(tmp_path: Path) -> None:
    ids = RNG.integers(0, 9, (16, 16)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", ids, photometric="miniswhite")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), ids)


# Palettes


def test_a_lookup_table_only_displays_gray_values(tmp_path: Path) -> None:
    image = RNG.integers(0, 255, (16, 32), dtype=np.uint8)
    ramp = np.arange(256, dtype=np.uint16) * 257
    green = np.stack([0 * ramp, ramp, 0 * ramp])
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="palette", colormap=green)
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.tif"), image)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="palette", colormap=green[:, ::-1])
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.tif"), 255 - image)
    colors = RNG.integers(0, 256, (3, 256)).astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="palette", colormap=colors)
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.tif"), (colors // 257).T[image])
    (red,) = find_sources([tmp_path], Selection(channel="red"))
    np.testing.assert_array_equal(read_pixels(red), (colors[0] // 257)[image])


def test_palettes_of_16_bits(tmp_path: Path) -> None:
    image = RNG.integers(0, 65_535, (16, 32), dtype=np.uint16)
    ramp = np.arange(65_536).astype(np.uint16)
    for colormap, wanted in (
        (np.stack([0 * ramp, ramp, 0 * ramp]), image),
        (np.stack([ramp[::-1]] * 3), 65_535 - image),
    ):
        tifffile.imwrite(tmp_path / "a.tif", image, photometric="palette", colormap=colormap)
        read = read_pixels(tmp_path / "a.tif")
        np.testing.assert_array_equal(read, wanted)
        assert read.dtype == np.uint16


def test_tifffile_and_imagecodecs_agree_on_color(tmp_path: Path) -> None:
    picture = RNG.integers(0, 255, (32, 48, 3), dtype=np.uint8)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(picture))
    for planes, data in (("contig", picture), ("separate", np.moveaxis(picture, -1, 0))):
        tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb", planarconfig=planes, compression="lzw")
        np.testing.assert_array_equal(read_pixels(tmp_path / "a.tif"), read_pixels(tmp_path / "a.png"))


def test_only_the_pages_of_the_channel_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = RNG.integers(0, 255, (3, 8, 30, 40), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, metadata={"axes": "TCYX"}, compression="zlib", ome=True)
    (source,) = find_sources([tmp_path / "a.ome.tif"], Selection(channel=5, time=1))
    read, asarray = [], tifffile.TiffPage.asarray
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda page, **kw: read.append(page) or asarray(page, **kw))
    monkeypatch.setattr(tifffile.TiffFrame, "asarray", tifffile.TiffPage.asarray)
    np.testing.assert_array_equal(read_pixels(source), stack[1, 5])
    assert len(read) == 1
