"""OME-Zarr and Zarr as images: axes, levels, channels, colors, plates, damage, and by URL."""

import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import zarr

from autosam.errors import InputError
from autosam.images import find_sources, read_image, read_pixel_size
from autosam.images.read import read_pixels
from autosam.images.readers import Selection
from autosam.images.readers import series as series_module
from autosam.pipeline.identity import origin_of

RNG = np.random.default_rng(1)
STACK = RNG.integers(0, 4000, (2, 3, 4, 12, 17), dtype=np.uint16)
"""Time, channel, z, y, x."""


def write_ome(
    path: Path,
    array: np.ndarray,
    axes: str,
    version: str = "0.5",
    *,
    scale: float = 0.25,
    unit: str | None = "micrometer",
    omero: list[dict[str, str]] | None = None,
    levels: int = 1,
    whole_scale: float | None = None,
    **options: Any,
) -> Path:
    """Write a multiscale image as the specification says, without a library of it."""
    group = zarr.open_group(path, mode="w", zarr_format=2 if version < "0.5" else 3)
    datasets = []
    for level in range(levels):
        step = 2**level
        pixels = array[..., ::step, ::step]
        keys: dict[str, Any] = {"dimension_separator": "/"} if version < "0.5" else {}
        keys = {"chunk_key_encoding": {"name": "v2", "separator": "/"}} if version < "0.5" else {}
        group.create_array(str(level), shape=pixels.shape, dtype=pixels.dtype, **keys, **options)[...] = pixels
        steps = [scale * step if axis in "yx" else 0.5 if axis == "z" else 1.0 for axis in axes]
        datasets.append({"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": steps}]})
    kinds = {"t": "time", "c": "channel"}
    named: list[Any] = [
        {"name": axis, "type": kinds.get(axis, "space")} | ({"unit": unit} if unit and axis in "zyx" else {})
        for axis in axes
    ]
    image: dict[str, Any] = {"axes": list(axes) if version == "0.3" else named, "datasets": datasets}
    if whole_scale is not None:
        image["coordinateTransformations"] = [{"type": "scale", "scale": [whole_scale] * len(axes)}]
    attributes: dict[str, Any] = {"multiscales": [image]}
    if omero is not None:
        attributes["omero"] = {"channels": omero}
    if version < "0.5":
        image["version"] = version
        group.attrs.update(attributes)
    else:
        group.attrs["ome"] = {"version": version} | attributes
    return path


@pytest.mark.parametrize("version", ["0.3", "0.4", "0.5"])
def test_the_planes_of_all_axes(tmp_path: Path, version: str) -> None:
    path = write_ome(tmp_path / "a.ome.zarr", STACK, "tczyx", version)
    sources = find_sources([path])
    assert [source.name for source in sources] == [f"a_t{t}_z{z}" for t in range(2) for z in range(4)]
    for number, source in enumerate(sources):
        pixels = read_pixels(source)
        assert isinstance(pixels, list)
        np.testing.assert_array_equal(np.stack(pixels), STACK[number // 4, :, number % 4])
    (one,) = find_sources([path], Selection(time=1, z=2, channel=1))
    np.testing.assert_array_equal(read_image(one), STACK[1, 1, 2])
    assert read_pixel_size(one) == (None if version == "0.3" else pytest.approx(250))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["yx", "zyx", "cyx", "tyx", "czyx", "xy", "yxc"])
def test_fewer_axes_in_any_order(tmp_path: Path, version: str, axes: str) -> None:
    at: dict[str, Any] = {"t": 0, "c": 0, "z": 0, "y": slice(None), "x": slice(None)}
    array = STACK[tuple(slice(None) if axis in axes else at[axis] for axis in "tczyx")]
    there = [axis for axis in "tczyx" if axis in axes]
    array = array.transpose([there.index(axis) for axis in axes])
    path = write_ome(tmp_path / "a.zarr", np.ascontiguousarray(array), axes, version)
    sources = find_sources([path])
    outer = 4 if "z" in axes else 2 if "t" in axes else 1
    assert len(sources) == outer
    assert sources[0].name == ("a_p0" if outer > 1 else "a")
    for number, source in enumerate(sources):
        z, t = (number if "z" in axes else 0), (number if "t" in axes else 0)
        wanted = STACK[t, :, z] if "c" in axes else STACK[t, 0, z]
        found = read_pixels(source)
        np.testing.assert_array_equal(np.stack(found) if isinstance(found, list) else found, wanted)


def test_a_level_is_chosen_and_has_its_pixel_size(tmp_path: Path) -> None:
    path = write_ome(tmp_path / "a.zarr", STACK[0, 0, 0], "yx", levels=3, whole_scale=2.0)
    (full,) = find_sources([path])
    assert read_pixel_size(full) == pytest.approx(500)
    (low,) = find_sources([path], Selection(level=2))
    np.testing.assert_array_equal(read_image(low), STACK[0, 0, 0, ::4, ::4])
    assert read_pixel_size(low) == pytest.approx(2000)
    with pytest.raises(
        InputError, match=r"a\.zarr has 3 resolution level\(s\): 0 \(12 × 17\), 1 \(6 × 9\), .* 3 was"
    ):
        find_sources([path], Selection(level=3))


def test_a_level_too_large_says_which_one_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_module, "LARGEST_IMAGE", 60)
    path = write_ome(tmp_path / "a.zarr", STACK[0, 0, 0], "yx", levels=3)
    with pytest.raises(
        InputError, match=r"a\.zarr: level 0 has 12 × 17 pixels, .*--level 1; there are 0 \(12 × 17\)"
    ):
        read_image(find_sources([path])[0])
    (fits,) = find_sources([path], Selection(level=1))
    assert fits.shape == read_image(fits).shape == (6, 9)
    monkeypatch.setattr(series_module, "LARGEST_IMAGE", 5)
    with pytest.raises(InputError, match="cut it into parts"):
        read_image(fits)


@pytest.mark.parametrize(
    ("unit", "nm"),
    [
        ("micrometer", 250),
        ("nanometer", 0.25),
        ("angstrom", 0.025),
        ("millimeter", 250_000),
        (None, None),
        ("mile", None),
    ],
)
def test_units(tmp_path: Path, unit: str | None, nm: float | None) -> None:
    path = write_ome(tmp_path / "a.zarr", STACK[0, 0, 0], "yx", unit=unit)
    (source,) = find_sources([path])
    assert read_pixel_size(source) == (None if nm is None else pytest.approx(nm))


def channels(*labels_and_colors: str) -> list[dict[str, str]]:
    return [dict(zip(("label", "color"), text.split(":"), strict=True)) for text in labels_and_colors]


@pytest.mark.parametrize(
    ("omero", "dtype", "color"),
    [
        (channels("Red:FF0000", "Green:00FF00", "Blue:0000FF"), np.uint8, True),
        (channels("Channel 0:FF0000", "Channel 1:00ff00", "Channel 2:0000FF"), np.uint8, True),
        (channels(":FF0000", ":00FF00", ":0000FF"), np.uint8, True),
        (channels("Cy5:FF0000", "GFP:00FF00", "DAPI:0000FF"), np.uint8, False),
        (channels("0:0000FF", "1:00FF00", "2:FF0000"), np.uint8, False),
        (channels("Red:FF0000", "Green:00FF00", "Blue:0000FF"), np.uint16, False),
        (channels("a:FFFFFF", "b:FFFFFF", "c:FFFFFF"), np.uint8, False),
        (None, np.uint8, False),
    ],
)
def test_three_channels_are_colors_only_where_omero_says_so(
    tmp_path: Path, omero: list[dict[str, str]] | None, dtype: type, color: bool
) -> None:
    array = STACK[0, :, 0].astype(dtype)
    (source,) = find_sources([write_ome(tmp_path / "a.zarr", array, "cyx", omero=omero)])
    found = read_pixels(source)
    assert isinstance(found, np.ndarray) == color
    np.testing.assert_array_equal(found if color else np.stack(found, axis=-1), np.moveaxis(array, 0, -1))


def test_a_channel_is_chosen_by_its_name(tmp_path: Path) -> None:
    omero = channels("DAPI:0000FF", "GFP:00FF00", "Cy5:FF0000")
    path = write_ome(tmp_path / "a.zarr", STACK[0, :, 0], "cyx", omero=omero)
    (source,) = find_sources([path], Selection(channel="gfp"))
    np.testing.assert_array_equal(read_image(source), STACK[0, 1, 0])
    with pytest.raises(InputError, match=r"no channel Cy3; .* 0 \(DAPI\), 1 \(GFP\), 2 \(Cy5\)"):
        find_sources([path], Selection(channel="Cy3"))


def test_one_plane_is_read_and_not_the_others(tmp_path: Path) -> None:
    path = write_ome(tmp_path / "a.zarr", STACK, "tczyx", chunks=(1, 1, 1, 12, 17), compressors=None)
    # Cut every chunk short but those of one plane.
    for chunk in (path / "0" / "c").rglob("*"):
        if chunk.is_file() and "/".join(chunk.parts[-5:-2]) not in ("1/0/2", "1/1/2", "1/2/2"):
            chunk.write_bytes(b"damaged")
    (whole,) = find_sources([path], Selection(time=1, z=2))
    np.testing.assert_array_equal(np.stack(read_pixels(whole)), STACK[1, :, 2])
    (broken,) = find_sources([path], Selection(time=0, z=2))
    with pytest.raises(InputError, match=r"a\.zarr cannot be read: .*damaged"):
        read_pixels(broken)


def test_shards(tmp_path: Path) -> None:
    path = write_ome(tmp_path / "a.zarr", STACK, "tczyx", chunks=(1, 1, 1, 6, 17), shards=(1, 3, 2, 12, 17))
    (source,) = find_sources([path], Selection(time=1, z=3))
    np.testing.assert_array_equal(np.stack(read_pixels(source)), STACK[1, :, 3])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_plain_arrays(tmp_path: Path, zarr_format: Any) -> None:
    def save(name: str, array: np.ndarray, **options: Any) -> Path:
        zarr.create_array(tmp_path / name, data=array, zarr_format=zarr_format, **options)
        return tmp_path / name

    gray, color = STACK[0, 0, 0], np.moveaxis(STACK[0, :, 0], 0, -1).astype(np.uint8)
    np.testing.assert_array_equal(read_image(save("gray.zarr", gray)), gray)
    np.testing.assert_array_equal(read_image(save("color.zarr", color)), color)
    np.testing.assert_array_equal(read_image(save("no_suffix", gray)), gray)
    stack = find_sources([save("stack.zarr", STACK[0, 0])])
    assert [source.name for source in stack] == ["stack_p0", "stack_p1", "stack_p2", "stack_p3"]
    np.testing.assert_array_equal(read_image(stack[3]), STACK[0, 0, 3])
    sized = save("sized.zarr", gray, attributes={"resolution": [40, 8, 8], "units": ["nm", "nm", "nm"]})
    assert read_pixel_size(find_sources([sized])[0]) == pytest.approx(8)
    with pytest.raises(
        InputError, match=r"five\.zarr: its shape is \(2, 3, 4, 12, 17\), and nothing names its axes"
    ):
        read_image(save("five.zarr", STACK))
    with pytest.raises(InputError, match=r"complex\.zarr: it holds complex"):
        read_image(save("complex.zarr", gray.astype(complex)))
    with pytest.raises(InputError, match=r"empty\.zarr: it has no pixels"):
        read_image(save("empty.zarr", gray[:0], chunks=(1, 17)))


def test_names_of_axes_in_plain_arrays(tmp_path: Path) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", data=STACK[0], dimension_names=["c", "z", "y", "x"])
    assert array.metadata.zarr_format == 3
    (source,) = find_sources([tmp_path / "a.zarr"], Selection(z=1, channel=2))
    np.testing.assert_array_equal(read_image(source), STACK[0, 2, 1])
    old = zarr.create_array(tmp_path / "b.zarr", data=STACK[:, 0, 0], zarr_format=2)
    old.attrs["_ARRAY_DIMENSIONS"] = ["time", "y", "x"]
    (source,) = find_sources([tmp_path / "b.zarr"], Selection(time=1))
    np.testing.assert_array_equal(read_image(source), STACK[1, 0, 0])


def test_a_group_of_several_wants_a_name(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("volumes/raw", data=STACK[0, 0])
    assert len(find_sources([tmp_path / "a.zarr"])) == 4
    group.create_array("volumes/labels", data=STACK[0, 1])
    with pytest.raises(
        InputError, match=r"name one, as in .*a\.zarr:/volumes/labels; it has: volumes/labels, volumes/raw"
    ):
        find_sources([tmp_path / "a.zarr"])
    for named in (f"{tmp_path}/a.zarr:/volumes/raw", f"{tmp_path}/a.zarr/volumes/raw"):
        sources = find_sources([named])
        np.testing.assert_array_equal(read_image(sources[2]), STACK[0, 0, 2])
    assert find_sources([f"{tmp_path}/a.zarr:/volumes/raw"])[0].name == "a_volumes_raw_p0"
    with pytest.raises(InputError, match=r"a\.zarr:/wrong: no Zarr array or group is there"):
        find_sources([f"{tmp_path}/a.zarr:/wrong"])
    zarr.open_group(tmp_path / "empty.zarr", mode="w")
    with pytest.raises(InputError, match=r"empty\.zarr: no image is in this Zarr group"):
        find_sources([tmp_path / "empty.zarr"])


def test_labels_of_an_image_are_no_images(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    write_ome(tmp_path / "a.zarr/image", STACK[0, 0, 0], "yx")
    write_ome(tmp_path / "a.zarr/labels/cells", STACK[0, 0, 0], "yx")
    assert group is not None
    (source,) = find_sources([tmp_path / "a.zarr"])
    assert str(source).endswith("a.zarr:/image")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_plates_and_wells(tmp_path: Path, version: str) -> None:
    form = 2 if version == "0.4" else 3

    def group(path: Path, **attributes: Any) -> None:
        opened = zarr.open_group(path, mode="a", zarr_format=form)
        opened.attrs.update(attributes if form == 2 else {"ome": {"version": version} | attributes})

    plate = tmp_path / "plate.zarr"
    group(plate, plate={"wells": [{"path": "A/1"}, {"path": "B/2"}], "rows": [], "columns": []})
    for number, well in enumerate(("A/1", "B/2")):
        group(plate / well, well={"images": [{"path": "0"}, {"path": "1"}]})
        for field in (0, 1):
            write_ome(plate / well / str(field), STACK[number, field, 0], "yx", version)
    sources = find_sources([plate])
    assert [source.name for source in sources] == ["plate_A_1_0", "plate_A_1_1", "plate_B_2_0", "plate_B_2_1"]
    for number, source in enumerate(sources):
        np.testing.assert_array_equal(read_image(source), STACK[number // 2, number % 2, 0])
    (one,) = find_sources([f"{plate}:/B/2/1"])
    np.testing.assert_array_equal(read_image(one), STACK[1, 1, 0])
    assert len(find_sources([plate / "A" / "1"])) == 2


def test_what_bioformats2raw_writes(tmp_path: Path) -> None:
    root = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    write_ome(tmp_path / "a.zarr/0", STACK[:1, :1], "tczyx", "0.4")
    (tmp_path / "a.zarr/OME").mkdir()
    (tmp_path / "a.zarr/OME/.zgroup").write_text(json.dumps({"zarr_format": 2}))
    assert [source.name for source in find_sources([tmp_path / "a.zarr"])] == ["a_p0", "a_p1", "a_p2", "a_p3"]
    write_ome(tmp_path / "a.zarr/1", STACK[:1, 1:2, :1], "tczyx", "0.4")
    root.attrs["touched"] = 1
    sources = find_sources([tmp_path / "a.zarr"])
    assert [source.name for source in sources] == ["a_0_z0", "a_0_z1", "a_0_z2", "a_0_z3", "a_1"]
    np.testing.assert_array_equal(read_image(sources[4]), STACK[0, 1, 0])
    (second,) = find_sources([tmp_path / "a.zarr"], Selection(series=1))
    np.testing.assert_array_equal(read_image(second), STACK[0, 1, 0])


def test_a_store_is_one_image_among_the_files_of_a_folder(tmp_path: Path) -> None:
    write_ome(tmp_path / "b.ome.zarr", STACK[0, 0, 0], "yx")
    (tmp_path / "c.zarr").mkdir()
    found = find_sources([tmp_path])
    assert [source.path.name for source in found] == ["b.ome.zarr", "c.zarr"]
    np.testing.assert_array_equal(read_image(found[0]), STACK[0, 0, 0])
    with pytest.raises(InputError, match=r"c\.zarr: no Zarr array or group is there"):
        read_image(found[1])


@pytest.mark.parametrize(
    "broken",
    [
        {"multiscales": []},
        {"multiscales": [{"axes": [{"name": "y"}], "datasets": []}]},
        {"multiscales": [{"axes": [{"name": "y"}, {"name": "x"}], "datasets": [{"path": "missing"}]}]},
        {"multiscales": 5},
    ],
)
def test_incomplete_metadata_are_one_line(tmp_path: Path, broken: dict[str, Any]) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.attrs["ome"] = broken
    with pytest.raises(InputError, match=r"a\.zarr") as refused:
        find_sources([tmp_path / "a.zarr"])
    assert "\n" not in str(refused.value)


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files, lists no folders, and is broken for some."""

    def list_directory(self, path: Any) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if "broken" in self.path and "/c/" in self.path:
            self.send_error(500)
        else:
            super().do_GET()


@pytest.fixture
def served(tmp_path: Path) -> Any:
    """Give the address of a server on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=tmp_path)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_by_http(tmp_path: Path, served: str) -> None:
    write_ome(tmp_path / "a.ome.zarr", STACK, "tczyx", "0.4", omero=channels("a:FF0000", "b:FF0000", "c:FF0000"))
    (source,) = find_sources([f"{served}/a.ome.zarr"], Selection(time=1, z=3, channel="b"))
    assert source.name == "a_t1_z3"
    assert origin_of(source) == str(source) == f"{served}/a.ome.zarr[7]"
    np.testing.assert_array_equal(read_image(source), STACK[1, 1, 3])
    assert read_pixel_size(source) == pytest.approx(250)
    with pytest.raises(InputError, match=r"http://127.*nothing\.zarr: no Zarr array or group is there"):
        find_sources([f"{served}/nothing.zarr"])
    write_ome(tmp_path / "broken.zarr", STACK[0, 0, 0], "yx")
    (broken,) = find_sources([f"{served}/broken.zarr"])
    with pytest.raises(InputError, match=r"broken\.zarr cannot be read: .*500"):
        read_image(broken)


def test_groups_by_http(tmp_path: Path, served: str) -> None:
    group = zarr.open_group(tmp_path / "g.zarr", mode="w")
    group.create_array("raw", data=STACK[0, 0])
    with pytest.raises(
        InputError, match=r"no image .*, or the server does not list it; name one, as in http:.*:/0"
    ):
        find_sources([f"{served}/g.zarr"])
    for named in (f"{served}/g.zarr:/raw", f"{served}/g.zarr/raw"):
        np.testing.assert_array_equal(read_image(find_sources([named])[2]), STACK[0, 0, 2])
    plate = zarr.open_group(tmp_path / "p.zarr", mode="w")
    plate.attrs["ome"] = {"plate": {"wells": [{"path": "A/1"}]}}
    well = plate.create_group("A/1")
    well.attrs["ome"] = {"well": {"images": [{"path": "0"}]}}
    write_ome(tmp_path / "p.zarr/A/1/0", STACK[0, 0, 0], "yx")
    with pytest.raises(
        InputError, match=r"it is a plate; name one image, as in (http://.*/p\.zarr:/A/1/0); wells: A/1"
    ):
        find_sources([f"{served}/p.zarr"])
    (one,) = find_sources([f"{served}/p.zarr:/A/1/0"])
    assert one.name == "p_A_1_0"
    np.testing.assert_array_equal(read_image(one), STACK[0, 0, 0])


def test_no_server_is_one_line() -> None:
    with pytest.raises(
        InputError, match=r"http://127\.0\.0\.1:9/a\.zarr cannot be read: .*check address and rights\."
    ):
        find_sources(["http://127.0.0.1:9/a.zarr"])


def test_by_other_protocols(tmp_path: Path) -> None:
    path = write_ome(tmp_path / "a.zarr", STACK[0, 0, 0], "yx")
    np.testing.assert_array_equal(read_image(find_sources([f"file://{path}"])[0]), STACK[0, 0, 0])
    memory = fsspec.filesystem("memory")
    memory.put(str(path), "/m.zarr", recursive=True)
    np.testing.assert_array_equal(read_image(find_sources(["memory://m.zarr"])[0]), STACK[0, 0, 0])
    with pytest.raises(InputError, match=r"nonsense://a/b\.zarr: the protocol nonsense is unknown"):
        find_sources(["nonsense://a/b.zarr"])
    with pytest.raises(InputError, match=r"https://a/b\.tif: only OME-Zarr and Zarr are read by URL"):
        find_sources(["https://a/b.tif"])


def test_a_missing_package_of_a_protocol_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(protocol: str) -> None:
        raise ImportError(f"Install s3fs to access {protocol}")

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    with pytest.raises(
        InputError, match=r"s3://bucket/a\.zarr: a package for s3:// is missing .*autosam\[remote\]"
    ):
        find_sources(["s3://bucket/a.zarr"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_what_ome_zarr_writes(tmp_path: Path, version: str) -> None:
    # Its import warns of itself.
    from ome_zarr.format import format_from_version
    from ome_zarr.writer import write_image

    written = format_from_version(version)
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="w", zarr_format=written.zarr_format)
    write_image(
        STACK,
        group,
        fmt=written,
        axes="tczyx",
        scale={"t": 1.0, "c": 1.0, "z": 0.5, "y": 0.2, "x": 0.2},
        axes_units={"z": "micrometer", "y": "micrometer", "x": "micrometer"},
    )
    sources = find_sources([tmp_path / "a.ome.zarr"])
    assert len(sources) == 8
    for number, source in enumerate(sources):
        np.testing.assert_array_equal(np.stack(read_pixels(source)), STACK[number // 4, :, number % 4])
        assert read_pixel_size(source) == pytest.approx(200)
