"""Reading: what a user types becomes images, in the numbers of the file, or one clear line."""

from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from autosam.errors import InputError
from autosam.images import ImageSource, find_sources, read_image, read_labels
from autosam.images.folder_listing import by_stem, image_files
from autosam.images.read import read_json

GRAY = np.arange(12 * 17, dtype=np.uint8).reshape(12, 17)
GRAY16 = GRAY.astype(np.uint16) * 257 + 1
RGB = np.stack([GRAY, GRAY[::-1], 255 - GRAY], axis=-1)
RGB16 = RGB.astype(np.uint16) * 250 + 3
STACK = np.random.default_rng(0).integers(0, 60_000, (11, 12, 17)).astype(np.uint16)


def png(path: Path, array: np.ndarray) -> Path:
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(array)))
    return path


def tif(path: Path, array: np.ndarray, photometric: str | None = "minisblack", **options: object) -> Path:
    tifffile.imwrite(path, array, photometric=photometric, **options)
    return path


def hdf5(path: Path, **datasets: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in datasets.items():
            file.create_dataset(name.replace("__", "/"), data=array)
    return path


def same(read: np.ndarray, wanted: np.ndarray) -> None:
    assert read.dtype == wanted.dtype
    np.testing.assert_array_equal(read, wanted)


def message(error: pytest.ExceptionInfo[InputError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


# Sources


def test_the_images_of_a_folder_by_stem(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.png", ".a.png", "c.bmp"):
        png(tmp_path / name, GRAY)
    (tmp_path / "notes.txt").write_text("no image")
    hdf5(tmp_path / "d.h5", raw=GRAY)
    (tmp_path / "e.png").mkdir()
    assert image_files(tmp_path) == [tmp_path / name for name in ("a.png", "b.PNG", "c.bmp")]
    assert list(by_stem(tmp_path)) == ["a", "b", "c"]
    png(tmp_path / "a.tif", GRAY)
    with pytest.raises(InputError, match=r"holds both a\.png and a\.tif; take one of them out"):
        by_stem(tmp_path)
    with pytest.raises(InputError, match=r"no folder .*nothere; check the spelling"):
        image_files(tmp_path / "nothere")


def test_hdf_is_hdf5_too(tmp_path: Path) -> None:
    # CREMI's samples end so.
    path = hdf5(tmp_path / "sample_A.hdf", raw=GRAY, labels=GRAY)
    same(read_image(f"{path}:/raw"), GRAY)
    same(read_labels(path), GRAY)
    assert [str(source) for source in find_sources([f"{path}:/raw"])] == [f"{path}:/raw"]


def test_json_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1]}')
    assert read_json(tmp_path / "a.json") == {"a": [1]}
    (tmp_path / "b.json").write_text("{")
    for name in ("b.json", "nothere.json"):
        with pytest.raises(InputError, match=f"{name} cannot be read as JSON: "):
            read_json(tmp_path / name)


def test_files_folders_and_globs_are_listed_in_order_and_once(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", ".hidden.png"):
        png(tmp_path / name, GRAY)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "deeper").mkdir()
    png(tmp_path / "deeper" / "c.png", GRAY)
    found = find_sources([str(tmp_path / "b.png"), str(tmp_path / "*")])
    assert [s.path.name for s in found] == ["b.png", "a.png"]
    found = find_sources([str(tmp_path / "b.png"), tmp_path])
    assert [s.path.name for s in found] == ["b.png", "a.png", "c.png"]
    assert [s.name for s in find_sources([str(tmp_path / "**" / "*.png")])] == ["a", "b", "c"]


def test_pages_get_padded_names(tmp_path: Path) -> None:
    path = tif(tmp_path / "stack.tif", STACK)
    found = find_sources([path])
    assert [s.name for s in found[:2]] == ["stack_p00", "stack_p01"]
    assert str(found[10]) == f"{path}[10]"
    same(read_image(found[10]), STACK[10])


def test_a_single_image_keeps_its_stem(tmp_path: Path) -> None:
    tif(tmp_path / "a.ome.tif", GRAY, ome=True)
    png(tmp_path / "0089.png", GRAY)
    assert [s.name for s in find_sources([tmp_path])] == ["0089", "a"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("nothere.png", "no such file"),
        ("empty", "holds no image"),
        ("*.png", "matches no image"),
        ("notes.txt", "unknown suffix '.txt'"),
        ("nothere.h5:/raw", "no such file"),
    ],
)
def test_inputs_that_name_nothing_are_refused(tmp_path: Path, given: str, says: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError) as error:
        find_sources([str(tmp_path / given)])
    assert says in message(error)
    assert given.split(":")[0] in message(error)


def test_no_input_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="no image was given"):
        find_sources([])


def test_a_bracket_in_a_name_is_no_glob(tmp_path: Path) -> None:
    path = png(tmp_path / "img[1].png", GRAY)
    assert [s.path for s in find_sources([path])] == [path]


def test_equal_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    one, two = png(tmp_path / "a" / "x.png", GRAY), tif(tmp_path / "X.tif", GRAY)
    with pytest.raises(InputError) as error:
        find_sources([one, two])
    assert str(one) in message(error)
    assert str(two) in message(error)


def test_a_page_and_a_file_of_the_same_name_are_refused(tmp_path: Path) -> None:
    tif(tmp_path / "s.tif", STACK[:2])
    png(tmp_path / "s_p1.png", GRAY)
    with pytest.raises(InputError, match="s_p1"):
        find_sources([tmp_path])


def test_a_damaged_file_does_not_stop_its_folder(tmp_path: Path) -> None:
    png(tmp_path / "a.png", GRAY)
    (tmp_path / "b.tif").write_bytes(b"II*\0 nothing more")
    (tmp_path / "c.h5").write_bytes(b"no hdf5")
    hdf5(tmp_path / "d.h5", one=GRAY, two=GRAY)
    found = find_sources([tmp_path])
    assert [s.path.name for s in found] == ["a.png", "b.tif", "c.h5", "d.h5"]
    same(read_image(found[0]), GRAY)
    for source in found[1:]:
        with pytest.raises(InputError, match=source.path.name):
            read_image(source)


# TIFF


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "f2", "f4", "f8", ">u2", ">f4"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_types_are_kept(tmp_path: Path, dtype: str, compression: str | None) -> None:
    byteorder = ">" if dtype[0] == ">" else None
    image = GRAY.astype(dtype)
    path = tif(tmp_path / "a.tif", image, compression=compression, byteorder=byteorder)
    same(read_image(path), image.astype(image.dtype.newbyteorder("=")))


def test_bool_becomes_uint8(tmp_path: Path) -> None:
    same(read_image(tif(tmp_path / "a.tif", GRAY > 9)), (GRAY > 9).astype(np.uint8))


@pytest.mark.parametrize(
    "options", [{}, {"compression": "zlib"}, {"imagej": True}, {"ome": True}, {"metadata": None}]
)
def test_each_page_is_an_image(tmp_path: Path, options: dict[str, object]) -> None:
    metadata = {"metadata": {"axes": "ZYX"}} if "imagej" in options or "ome" in options else {}
    found = find_sources([tif(tmp_path / "s.tif", STACK, **options, **metadata)])
    assert len(found) == 11
    for page in (0, 7, 10):
        same(read_image(found[page]), STACK[page])


def test_pages_of_several_sizes(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "s.tif") as writer:
        for page in (GRAY, GRAY, GRAY[:5]):
            writer.write(page, metadata=None)
    found = find_sources([tmp_path / "s.tif"])
    assert [read_image(s).shape for s in found] == [(12, 17), (12, 17), (5, 17)]


@pytest.mark.parametrize(
    ("array", "options"),
    [
        (RGB, {"photometric": "rgb"}),
        (RGB.transpose(2, 0, 1), {"photometric": "rgb", "planarconfig": "separate"}),
        (RGB, {"photometric": "minisblack"}),
        (RGB, {"photometric": "minisblack", "metadata": None, "compression": "zlib"}),
        (RGB.transpose(2, 0, 1), {"ome": True, "metadata": {"axes": "CYX"}}),
        (RGB.transpose(2, 0, 1), {"ome": True, "metadata": {"axes": "CYX"}, "compression": "zlib"}),
        (RGB[None], {"photometric": "rgb"}),
        (
            np.concatenate([RGB, GRAY[..., None]], axis=-1),
            {"photometric": "rgb", "extrasamples": ["unassalpha"]},
        ),
    ],
)
def test_color_tiffs_are_one_image(tmp_path: Path, array: np.ndarray, options: dict[str, object]) -> None:
    (source,) = find_sources([tif(tmp_path / "a.tif", array, **options)])
    assert source.name == "a"
    same(read_image(source), RGB)


def test_color_stacks(tmp_path: Path) -> None:
    stack = np.stack([RGB, RGB[::-1], RGB[:, ::-1]])
    for name, options in {"c": {}, "z": {"compression": "zlib"}}.items():
        found = find_sources([tif(tmp_path / f"{name}.tif", stack, photometric="rgb", **options)])
        assert len(found) == 3
        same(read_image(found[2]), stack[2])
    small = stack[:, :3, :9]
    found = find_sources([tif(tmp_path / "s.tif", small, compression="zlib")])
    assert len(found) == 3
    same(read_image(found[1]), small[1])
    planes = stack.transpose(0, 3, 1, 2)
    for name, compression in {"o": None, "p": "zlib"}.items():
        path = tmp_path / f"{name}.ome.tif"
        found = find_sources([tif(path, planes, ome=True, metadata={"axes": "ZCYX"}, compression=compression)])
        assert len(found) == 3
        same(read_image(found[1]), stack[1])


def test_gray_with_alpha_becomes_gray(tmp_path: Path) -> None:
    array = np.stack([GRAY, GRAY[::-1]], axis=-1)
    path = tif(tmp_path / "a.tif", array, planarconfig="contig", extrasamples=["unassalpha"])
    same(read_image(path), GRAY)
    same(read_image(png(tmp_path / "b.png", array)), GRAY)


@pytest.mark.parametrize("channels", [2, 5])
def test_two_and_five_channels_are_refused(tmp_path: Path, channels: int) -> None:
    array = np.stack([GRAY] * channels)
    for path in (
        tif(tmp_path / "a.ome.tif", array, ome=True, metadata={"axes": "CYX"}),
        tif(tmp_path / "b.tif", array.transpose(1, 2, 0), planarconfig="contig"),
    ):
        with pytest.raises(InputError, match=f"{channels} channels; wanted 1") as error:
            read_image(path)
        assert path.name in message(error)


def test_a_palette_tiff_is_resolved_for_images_and_kept_for_labels(tmp_path: Path) -> None:
    ramp = np.arange(256, dtype=np.uint16) * 257
    path = tif(tmp_path / "a.tif", GRAY, "palette", colormap=np.stack([ramp, ramp[::-1], ramp]))
    same(read_image(path), np.stack([GRAY, 255 - GRAY, GRAY], axis=-1))
    same(read_labels(path), GRAY)
    gray = tif(tmp_path / "b.tif", GRAY, "palette", colormap=np.stack([ramp[::-1]] * 3))
    same(read_image(gray), 255 - GRAY)


@pytest.mark.parametrize("shape", [(1, 1), (10, 3000), (3000, 10), (1, 7)])
def test_odd_shapes(tmp_path: Path, shape: tuple[int, int]) -> None:
    image = (np.arange(np.prod(shape)) % 251).astype(np.uint8).reshape(shape)
    for path in (
        tif(tmp_path / "a.tif", image),
        png(tmp_path / "b.png", image),
        hdf5(tmp_path / "c.h5", raw=image),
    ):
        same(read_image(path), image)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("stack", [False, True])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.97])
def test_cut_tiffs_are_refused(tmp_path: Path, compression: str | None, stack: bool, share: float) -> None:
    array = np.random.default_rng(1).integers(0, 255, (6, 60, 50) if stack else (60, 50)).astype(np.uint8)
    path = tif(tmp_path / "a.tif", array, compression=compression)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"a\.tif.* cannot be read") as error:
        [read_image(source) for source in find_sources([tmp_path])]
    message(error)


def test_a_cut_imagej_stack_is_not_taken_for_its_first_page(tmp_path: Path) -> None:
    path = tif(tmp_path / "a.tif", STACK, imagej=True, metadata={"axes": "ZYX"})
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match="before its last page"):
        read_image(find_sources([path])[0])


@pytest.mark.filterwarnings("ignore:.*zero-size:UserWarning")
def test_a_tiff_without_pixels_is_refused(tmp_path: Path) -> None:
    for name, shape in {"a": (0, 5), "b": (3, 0, 5)}.items():
        with pytest.raises(InputError, match="no pixels"):
            read_image(tif(tmp_path / f"{name}.tif", np.zeros(shape, np.uint8)))


def test_inks_and_complex_numbers_are_refused(tmp_path: Path) -> None:
    inks = tif(tmp_path / "a.tif", np.zeros((5, 6, 4), np.uint8), "separated")
    with pytest.raises(InputError, match="CMYK"):
        read_image(inks)
    with pytest.raises(InputError, match="complex64"):
        read_image(tif(tmp_path / "b.tif", np.zeros((5, 6), np.complex64)))


def test_a_page_must_be_named_and_be_there(tmp_path: Path) -> None:
    path = tif(tmp_path / "s.tif", STACK)
    for given, says in (
        (path, "11 images"),
        (ImageSource(path, page=11), "page 11"),
        (ImageSource(path, page=-1), "page -1"),
        (ImageSource(png(tmp_path / "a.png", GRAY), page=1), "page 1"),
    ):
        with pytest.raises(InputError, match=says):
            read_image(given)


# PNG, JPEG, BMP


@pytest.mark.parametrize("array", [GRAY, GRAY16, RGB, RGB16])
def test_png_depth_and_color_are_kept(tmp_path: Path, array: np.ndarray) -> None:
    same(read_image(png(tmp_path / "a.png", array)), array)
    if array.ndim == 3:
        rgba = np.concatenate([array, array[..., :1]], axis=-1)
        same(read_image(png(tmp_path / "b.png", rgba)), array)


def test_a_palette_png_is_resolved_for_images_and_kept_for_labels(tmp_path: Path) -> None:
    picture = Image.fromarray(GRAY).convert("P")
    picture.putpalette([v for i in range(256) for v in (i, 255 - i, i)])
    picture.save(tmp_path / "a.png")
    same(read_image(tmp_path / "a.png"), np.stack([GRAY, 255 - GRAY, GRAY], axis=-1))
    same(read_labels(tmp_path / "a.png"), GRAY)


def test_jpeg_and_bmp(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.bmp")
    same(read_image(tmp_path / "a.bmp"), RGB)
    Image.fromarray(np.full((8, 8), 77, np.uint8)).save(tmp_path / "b.jpg")
    same(read_image(tmp_path / "b.jpg"), np.full((8, 8), 77, np.uint8))
    Image.fromarray(np.zeros((8, 8, 4), np.uint8), mode=None).convert("CMYK").save(tmp_path / "c.jpg")
    with pytest.raises(InputError, match="CMYK"):
        read_image(tmp_path / "c.jpg")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.6])
def test_cut_pictures_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 60, 3)).astype(np.uint8)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match="cannot be read") as error:
        read_image(path)
    assert str(path) in message(error)


def test_large_pictures_are_no_attack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(GRAY).save(tmp_path / "a.bmp")
    Image.fromarray(GRAY).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    same(read_image(tmp_path / "a.bmp"), GRAY)
    same(read_labels(tmp_path / "a.png"), GRAY)
    assert Image.MAX_IMAGE_PIXELS == 10


# HDF5


def test_the_only_dataset_is_taken(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "f.h5", volumes__raw=STACK, table=np.zeros(5))
    found = find_sources([path])
    assert [found[3].name, str(found[3])] == ["f_volumes_raw_p03", f"{path}:/volumes/raw[3]"]
    same(read_image(found[3]), STACK[3])


def test_a_dataset_is_named(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "f.h5", raw=GRAY16, color=RGB, both=np.stack([RGB, RGB[::-1]]), thin=STACK[:1])
    same(read_image(f"{path}:raw"), GRAY16)
    same(read_image(f"{path}:/color"), RGB)
    same(read_image(f"{path}:/thin"), STACK[0])
    found = find_sources([f"{path}:/both"])
    assert [s.name for s in found] == ["f_both_p0", "f_both_p1"]
    same(read_image(found[1]), RGB[::-1])


@pytest.mark.parametrize(
    ("dataset", "says"), [(":/nothere", "no image dataset /nothere"), ("", "several datasets")]
)
def test_an_unclear_dataset_is_refused_with_those_there_are(tmp_path: Path, dataset: str, says: str) -> None:
    path = hdf5(tmp_path / "f.h5", raw=GRAY16, labels=GRAY)
    for call in (lambda: find_sources([f"{path}{dataset}"]), lambda: read_image(f"{path}{dataset}")):
        with pytest.raises(InputError, match=says) as error:
            call()
        assert "/labels (12, 17), /raw (12, 17)" in message(error)


def test_hdf5_without_images_or_pixels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no dataset of 2 or 3"):
        find_sources([hdf5(tmp_path / "a.h5", row=np.zeros(5))])
    for name, shape in {"b": (0, 5), "c": (0, 5, 5)}.items():
        (source,) = find_sources([hdf5(tmp_path / f"{name}.h5", raw=np.zeros(shape))])
        with pytest.raises(InputError, match="no pixels"):
            read_image(source)
    with pytest.raises(InputError, match="2 channels"):
        read_image(hdf5(tmp_path / "d.h5", raw=np.zeros((9, 9, 2))))


def test_read_image_refuses_what_is_no_image_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "b.png").mkdir()
    for name, says in {
        "nothere.tif": "no such file",
        "a.txt": "unknown suffix",
        "b.png": "is a folder",
    }.items():
        with pytest.raises(InputError, match=says):
            read_image(tmp_path / name)


# Labels


def test_labels_are_read_as_stored(tmp_path: Path) -> None:
    ids = GRAY.astype(np.uint32) * 70_000
    same(read_labels(tif(tmp_path / "a.tif", ids)), ids)
    same(read_labels(tif(tmp_path / "v.tif", STACK)), STACK)
    same(read_labels(png(tmp_path / "b.png", GRAY16)), GRAY16)
    same(read_labels(hdf5(tmp_path / "c.h5", raw=GRAY.astype(float), labels=ids)), ids)
    same(read_labels(f"{hdf5(tmp_path / 'd.h5', labels=ids, more=ids + 1)}:/more"), ids + 1)
    zarr.create_array(tmp_path / "e.zarr", data=STACK)
    same(read_labels(tmp_path / "e.zarr"), STACK)
    same(read_labels(tif(tmp_path / "f.tif", GRAY > 9, photometric=None)), (GRAY > 9).astype(np.uint8))


def test_four_bit_labels_are_not_stretched(tmp_path: Path) -> None:
    # A 4-bit gray PNG of one row: 1, 2, 15, 0; pillow alone would give 17, 34, 255, 0.
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 4, 1, 4, 0, 0, 0, 0)
    body = zlib.compress(bytes([0, 0x12, 0xF0]))
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )
    assert read_labels(tmp_path / "a.png").tolist() == [[1, 2, 15, 0]]


def test_labels_that_are_none_are_refused(tmp_path: Path) -> None:
    bad = {
        "holds colors": [
            png(tmp_path / "a.png", RGB),
            tif(tmp_path / "a.tif", RGB, "rgb"),
            tif(tmp_path / "p.tif", RGB.transpose(2, 0, 1), "rgb", planarconfig="separate"),
            hdf5(tmp_path / "a.h5", labels=RGB),
        ],
        "save it as integers": [
            tif(tmp_path / "f.tif", GRAY + np.float32(0.5)),
            hdf5(tmp_path / "f.h5", x=GRAY / 7),
        ],
        "lowest -3": [tif(tmp_path / "n.tif", GRAY.astype(np.int16) - 3)],
        "no such label file": [tmp_path / "nothere.tif"],
        "labels are read from": [png(tmp_path / "x.jpg", GRAY)],
    }
    for says, paths in bad.items():
        for path in paths:
            with pytest.raises(InputError, match=says) as error:
                read_labels(path)
            assert path.name in message(error)


def test_a_zarr_without_labels_is_refused(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("x", data=GRAY)
    same(read_labels(tmp_path / "a.zarr"), GRAY)
    group.create_array("y", data=GRAY)
    with pytest.raises(InputError, match="x, y"):
        read_labels(tmp_path / "a.zarr")
    (tmp_path / "b.zarr").mkdir()
    with pytest.raises(InputError, match=r"b\.zarr: no Zarr array or group"):
        read_labels(tmp_path / "b.zarr")


def test_a_dataset_that_is_no_image_is_described(tmp_path):
    with h5py.File(tmp_path / "g.h5", "w") as file:
        file["raw"] = np.zeros((4, 5), np.uint8)
        file["five"] = np.zeros((2, 2, 3, 4, 5), np.uint8)
    with pytest.raises(InputError, match=r"/five as \(2, 2, 3, 4, 5\) of uint8; wanted .* Images: /raw \(4, 5\)"):
        find_sources([f"{tmp_path / 'g.h5'}:/five"])
