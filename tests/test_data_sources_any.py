"""Nuclei releases and anyone's data: small files in each layout, from real pixels."""

import json
import pickle
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr

from autosam.data.importing import import_release
from autosam.data.seg_file import read_seg
from autosam.data.sources import SOURCES, open_release
from autosam.data.sources.monuseg import read_regions
from autosam.data.sources.shapes import decode_runs
from autosam.data.store import Store
from autosam.errors import InputError
from autosam.images import read_image
from autosam.metrics import components

H, W = 40, 56


@pytest.fixture(scope="module")
def raw() -> np.ndarray:
    page = read_image(Path(__file__).parents[1] / "examples" / "vnc_13.png")
    return np.stack([page[500 + 15 * z : 500 + 15 * z + H, 100 : 100 + W] for z in range(5)])


@pytest.fixture(scope="module")
def ids(raw: np.ndarray) -> np.ndarray:
    found = components(raw < np.percentile(raw, 30), min_size=4).astype(np.uint32)
    found[found == found.max()] = 70_000
    return found


def png(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(array)))
    return path


def tif(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, photometric="rgb" if array.shape[-1] == 3 else "minisblack")
    return path


def imported(source: str, tmp_path: Path, *where: Path | str, target: str | None = None, **settings) -> Store:
    release = open_release(*map(str, where), target=target, stack=settings.pop("stack", False))
    assert release.source == source
    return import_release(release, tmp_path / "out.h5", restart=True, **settings)[0]


def dump(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def square(top: int, left: int, bottom: int, right: int) -> list[tuple[float, float]]:
    """Outline as (x, y), from pixel corner to pixel corner."""
    return [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]


def test_dsb2018_official(tmp_path: Path, raw: np.ndarray) -> None:
    rgba = np.dstack([raw[0], raw[1], raw[2], np.full((H, W), 255, np.uint8)])
    root = tmp_path / "in/stage1_train"
    truth = np.zeros((H, W), int)
    png(root / "00ae/images/00ae.png", rgba)
    for number, (top, left, bottom, right) in enumerate([(2, 3, 9, 12), (8, 10, 20, 20), (30, 1, 31, 2)], start=1):
        mask = np.zeros((H, W), np.uint8)
        mask[top:bottom, left:right] = 255
        png(root / f"00ae/masks/m{number}.png", mask)
        truth[(mask > 0) & (truth == 0)] = number
    png(root / "01bf/images/01bf.png", raw[3])
    (root / "01bf/masks").mkdir()
    for where in (tmp_path / "in", root):
        store = imported("dsb2018", tmp_path, where)
        np.testing.assert_array_equal(store.labels("00ae"), truth)
        np.testing.assert_array_equal(store.image("00ae"), rgba[..., :3])
        assert not store.labels("01bf").any()
        assert store.manifest.license == "CC0 1.0"
        assert store.volumes == ()
    png(root / "01bf/masks/m.png", np.zeros((3, 3), np.uint8))
    with pytest.raises(InputError, match=r"m.png is \(3, 3\) and its image \(40, 56\)"):
        imported("dsb2018", tmp_path, root)


def test_dsb2018_with_an_index(tmp_path: Path, raw: np.ndarray, ids: np.ndarray) -> None:
    for name, z in (("aa", 0), ("bb", 1)):
        png(tmp_path / f"in/images/{name}.png", raw[z])
        png(tmp_path / f"in/labels/{name}.png", (ids[z] % 65_536).astype(np.uint16))
    (tmp_path / "in/index.csv").write_text("id,modality,height\naa,fluo,40\nbb,stain,40\n")
    store = imported("dsb2018", tmp_path, tmp_path / "in")
    assert [(item.name, item.group) for item in store.items] == [("aa", "fluo"), ("bb", "stain")]
    np.testing.assert_array_equal(store.labels("bb"), ids[1] % 65_536)


def regions(*outlines: list[tuple[float, float]], size: str = 'MicronsPerPixel="0.252000"') -> str:
    body = "".join(
        f'<Region Id="{i}" NegativeROA="{int(len(o) == 6)}"><Vertices>'
        + "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in o)
        + "</Vertices></Region>"
        for i, o in enumerate(outlines, start=1)
    )
    return f'<Annotations {size}><Annotation Id="1"><Regions>{body}</Regions></Annotation></Annotations>'


@pytest.mark.parametrize("folders", [("Tissue Images", "Annotations"), ("images", "annotations")])
def test_monuseg(tmp_path: Path, raw: np.ndarray, folders: tuple[str, str]) -> None:
    rgb = np.dstack([raw[0], raw[1], raw[2]])
    tif(tmp_path / "in" / folders[0] / "TCGA-18-1.tif", rgb)
    xml = tmp_path / "in" / folders[1] / "TCGA-18-1.xml"
    xml.parent.mkdir()
    negative = [*square(0, 0, 40, 50), (0, 0)]
    outlines = (square(2, 3, 9, 12), [(1, 1), (2, 2)], negative, square(6, 8, 20, 20), square(-5, 50, 4, 90))
    xml.write_text(regions(*outlines))
    store = imported("monuseg", tmp_path, tmp_path / "in")
    truth = np.zeros((H, W), int)
    truth[:4, 50:] = 3
    truth[6:20, 8:20] = 2
    truth[2:9, 3:12] = 1
    np.testing.assert_array_equal(store.labels("TCGA-18-1"), truth)
    np.testing.assert_array_equal(store.image("TCGA-18-1"), rgb)
    assert store.manifest.voxel_size_nm == (0, 252, 252)
    assert any("first in the file keeps the pixel" in note for note in store.manifest.notes)
    xml.write_text(regions(square(0, 0, 2, 2), size=""))
    assert open_release(str(tmp_path / "in")).voxel_size_nm is None
    for content, words in {
        "no xml": "cannot be read as XML",
        "<svg/>": "not an ImageScope file",
        regions([(0, 0), ("a", 1), (2, 2)]): "region 1 of .* vertex that is not a number",  # type: ignore[list-item]
    }.items():
        xml.write_text(content)
        with pytest.raises(InputError, match=words):
            read_regions(xml)


def test_folder_pairs(tmp_path: Path, raw: np.ndarray, ids: np.ndarray) -> None:
    for z in range(3):
        tif(tmp_path / f"in/images/s{z + 9}.tif", raw[z])
        tif(tmp_path / f"in/masks/s{z + 9}.tif", ids[z])
    # One file of several pages is a volume.
    tif(tmp_path / "in/images/v.tif", raw)
    tif(tmp_path / "in/masks/v.tif", ids)
    (tmp_path / "in/images/.hidden.tif").write_bytes(b"")
    for where in ([tmp_path / "in"], [tmp_path / "in/images", tmp_path / "in/masks"]):
        store = imported("folder", tmp_path, *where)
        np.testing.assert_array_equal(store.labels("s10"), ids[1])
        np.testing.assert_array_equal(store.volume("v").labels(), ids)
    (tmp_path / "in/images/v.tif").unlink()
    (tmp_path / "in/masks/v.tif").unlink()
    stacked = imported("folder", tmp_path, tmp_path / "in", stack=True)
    assert stacked.volume("in").z == (9, 10, 11)
    (tmp_path / "in/masks/s9.tif").unlink()
    with pytest.raises(InputError, match=r"1 fault in the folder pair: .*s9.tif has no labels"):
        open_release(str(tmp_path / "in"))


def test_a_folder_of_masks_is_told(tmp_path: Path, raw: np.ndarray) -> None:
    mask = np.where(raw[0] < 100, 255, 0).astype(np.uint8)
    png(tmp_path / "in/raw/a.png", raw[0])
    png(tmp_path / "in/labels/a.png", mask)
    release = open_release(str(tmp_path / "in"))
    _, notes = import_release(release, tmp_path / "out.h5")
    assert "1 slice(s) hold one id alone" in notes[0]
    store = imported("folder", tmp_path, tmp_path / "in", instances="components-2d", min_size=7)
    np.testing.assert_array_equal(store.labels("a"), components(mask, min_size=7))


def test_file_pairs(tmp_path: Path, raw: np.ndarray, ids: np.ndarray) -> None:
    image, labels = tif(tmp_path / "a.tif", raw), tif(tmp_path / "b.tiff", ids)
    store = imported("files", tmp_path, image, labels)
    np.testing.assert_array_equal(store.volume("a").labels(), ids)
    np.testing.assert_array_equal(store.volume("a").image(), raw)
    assert store.manifest.ids == "3d"
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["raw"], file["labels"] = raw, ids.astype(np.uint64) + 2**50
        file["flat"], file["truth"] = raw[0], ids[0]
        file["rgb"] = np.dstack([raw[0], raw[1], raw[2]])
    for where in ([tmp_path / "f.h5"], [f"{tmp_path}/f.h5:/raw", f"{tmp_path}/f.h5:/labels"]):
        store = imported("files", tmp_path, *where)
        np.testing.assert_array_equal(store.volume("f").labels(), ids.astype(np.uint64) + 2**50)
    flat = imported("files", tmp_path, f"{tmp_path}/f.h5:/flat", f"{tmp_path}/f.h5:/truth")
    np.testing.assert_array_equal(flat.labels("f"), ids[0])
    color = imported("files", tmp_path, f"{tmp_path}/f.h5:/rgb", f"{tmp_path}/f.h5:/truth")
    assert color.image("f").shape == (H, W, 3)
    lone = imported("files", tmp_path, png(tmp_path / "c.png", raw[0]), tif(tmp_path / "d.tif", ids[0]))
    assert lone.volumes == ()
    np.testing.assert_array_equal(lone.labels("c"), ids[0])
    with h5py.File(tmp_path / "g.h5", "w") as file:
        file["x"] = raw
    with pytest.raises(InputError, match=r"no datasets raw and labels.*it has: /x"):
        open_release(str(tmp_path / "g.h5"))


def ome_zarr(path: Path, raw: np.ndarray, ids: np.ndarray, version: str, axes: str) -> None:
    form = 2 if version == "0.4" else 3

    def write(name: str, array: np.ndarray, axes: str, extra: dict[str, object]) -> None:
        group = zarr.open_group(path / name if name else path, mode="a", zarr_format=form)
        group.create_array("s0", data=array, chunks=array.shape)
        units = {"type": "space", "unit": "micrometer"}
        scale = [{"z": 0.03, "y": 0.004, "x": 0.004}.get(axis, 1.0) for axis in axes]
        meta = {
            "version": version,
            "multiscales": [
                {
                    "axes": [{"name": a} | (units if a in "zyx" else {"type": "channel"}) for a in axes],
                    "datasets": [{"path": "s0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}],
                }
            ],
        } | extra
        group.attrs.update({"ome": meta} if form == 3 else meta)

    write("", raw, axes, {})
    labels = zarr.open_group(path / "labels", mode="a", zarr_format=form)
    labels.attrs.update({"ome": {"labels": ["cells"]}} if form == 3 else {"labels": ["cells"]})
    write("labels/cells", ids, axes.replace("c", "").replace("t", ""), {"image-label": {}})


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr(tmp_path: Path, raw: np.ndarray, ids: np.ndarray, version: str) -> None:
    ome_zarr(tmp_path / "v.ome.zarr", raw[None, None], ids, version, "tczyx")
    store = imported("ome-zarr", tmp_path, tmp_path / "v.ome.zarr")
    np.testing.assert_array_equal(store.volume("v").image(), raw)
    np.testing.assert_array_equal(store.volume("v").labels(), ids)
    assert store.manifest.voxel_size_nm == (30, 4, 4)
    ome_zarr(tmp_path / "c.zarr", raw[:3], ids[0], version, "cyx")
    color = imported("ome-zarr", tmp_path, tmp_path / "c.zarr", "cells")
    np.testing.assert_array_equal(color.image("c"), np.moveaxis(raw[:3], 0, -1))
    np.testing.assert_array_equal(color.labels("c"), ids[0])
    assert color.manifest.voxel_size_nm == (0, 4, 4)
    with pytest.raises(InputError, match="no label image nuclei; it has: cells"):
        open_release(str(tmp_path / "c.zarr"), "nuclei")
    ome_zarr(tmp_path / "d.zarr", raw[:2], ids[0], version, "cyx")
    with pytest.raises(InputError, match="wanted one moment and 1 or 3 channels"):
        open_release(str(tmp_path / "d.zarr"))
    zarr.open_group(tmp_path / "e.zarr", mode="w")
    with pytest.raises(InputError, match="not an OME-Zarr"):
        open_release(str(tmp_path / "e.zarr"))


def test_our_own_zarr_is_ome_zarr(tmp_path: Path, raw: np.ndarray, ids: np.ndarray) -> None:
    release = open_release(str(tif(tmp_path / "a.tif", raw)), str(tif(tmp_path / "b.tif", ids)))
    import_release(release, tmp_path / "s.zarr")
    store = imported("ome-zarr", tmp_path, tmp_path / "s.zarr/a")
    np.testing.assert_array_equal(store.volume("a").labels(), ids)


def runs(mask: np.ndarray) -> list[int]:
    flat = np.concatenate([[0], mask.T.ravel().astype(int), [2]])
    edges = np.flatnonzero(np.diff(flat))
    return np.diff(np.concatenate([[0], edges])).tolist()


def as_text(counts: list[int]) -> str:
    """Write COCO's compressed run lengths, from their description in maskApi."""
    text = ""
    for i, count in enumerate(counts):
        number = count - (counts[i - 2] if i > 2 else 0)
        while True:
            group, number = number & 31, number >> 5
            more = number != (-1 if group & 16 else 0)
            text += chr(48 + group + 32 * more)
            if not more:
                break
    return text


def test_run_lengths(raw: np.ndarray) -> None:
    for mask in (raw[0] < 90, raw[1] > 90, np.zeros((H, W), bool), np.ones((H, W), bool)):
        counts = runs(mask)
        np.testing.assert_array_equal(decode_runs((H, W), counts, "a"), mask)
        np.testing.assert_array_equal(decode_runs((H, W), as_text(counts), "a"), mask)
    # pycocotools: encode(np.asfortranarray([[0, 1], [1, 1]], dtype=np.uint8))["counts"] is b"13".
    assert decode_runs((2, 2), "13", "a").tolist() == [[False, True], [True, True]]
    coco = pytest.importorskip("pycocotools.mask")
    for mask in (raw[0] < 90, raw[2] < 120):
        theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        np.testing.assert_array_equal(decode_runs(theirs["size"], theirs["counts"].decode(), "a"), mask)


def test_run_lengths_that_do_not_fill() -> None:
    with pytest.raises(InputError, match="fill 3 pixels of 2 × 2"):
        decode_runs((2, 2), [1, 2], "a")


def test_coco(tmp_path: Path, raw: np.ndarray) -> None:
    png(tmp_path / "in/images/a/x.png", raw[0])
    png(tmp_path / "in/images/y.png", raw[1])
    mask = raw[0] < 90
    flat = [n for point in square(2, 3, 9, 12) for n in point]
    content = {
        "licenses": [{"name": "CC BY 4.0"}],
        "images": [{"id": 7, "file_name": "a/x.png"}, {"id": 8, "file_name": "y.png"}],
        "annotations": [
            {"id": 1, "image_id": 7, "segmentation": [flat, [20, 20, 24, 20, 24, 24, 20, 24]]},
            {"id": 2, "image_id": 7, "segmentation": {"size": [H, W], "counts": runs(mask)}},
            {"id": 3, "image_id": 8, "segmentation": {"size": [H, W], "counts": as_text(runs(~mask))}},
            {"id": 4, "image_id": 8, "iscrowd": 1, "segmentation": {"size": [H, W], "counts": [0, H * W]}},
        ],
    }
    file = dump(tmp_path / "in/annotations/instances.json", content)
    for where in ([tmp_path / "in"], [tmp_path / "in/images", file]):
        store = imported("coco", tmp_path, *where)
        truth = np.where(mask, 2, 0)
        truth[2:9, 3:12] = truth[20:24, 20:24] = 1
        np.testing.assert_array_equal(store.labels("a_x"), truth)
        np.testing.assert_array_equal(store.labels("y"), ~mask)
        assert store.manifest.license == "CC BY 4.0"
        assert any("left out as a region of many objects" in note for note in store.manifest.notes)
    content["images"].pop()
    content["images"].append({"id": 9, "file_name": "z.png"})
    dump(file, content)
    with pytest.raises(InputError, match=r"2 faults in .*no image z.png.*2 annotations of the unknown image id 8"):
        open_release(str(tmp_path / "in"))
    for broken, words in (("{", "cannot be read as JSON"), ("[]", "no 'annotations'"), ("{}", "no 'annotations'")):
        file.write_text(broken)
        with pytest.raises(InputError, match=words):
            open_release(str(tmp_path / "in"))


def test_cellpose(tmp_path: Path, raw: np.ndarray, ids: np.ndarray) -> None:
    root = tmp_path / "in"
    tif(root / "a.tif", raw[0])
    tif(root / "a_masks.tif", ids[0])
    png(root / "b_img.png", raw[1])
    png(root / "b_cp_masks.png", (ids[1] % 65_536).astype(np.uint16))
    png(root / "c.png", raw[2])
    png(root / "c_outlines.png", raw[2])
    seg = {
        "masks": ids[2],
        "filename": "c.png",
        "ismanual": np.zeros(3, bool),
        "est_diam": np.float64(3),
        "flows": [],
    }
    np.save(root / "c_seg.npy", seg)  # type: ignore[arg-type]
    tif(root / "v.tif", raw)
    tif(root / "v_masks.tif", ids)
    store = imported("cellpose", tmp_path, root)
    np.testing.assert_array_equal(store.labels("a"), ids[0])
    np.testing.assert_array_equal(store.labels("b"), ids[1] % 65_536)
    np.testing.assert_array_equal(store.labels("c"), ids[2])
    np.testing.assert_array_equal(store.volume("v").labels(), ids)
    (root / "c.png").unlink()
    with pytest.raises(InputError, match=r"1 fault in cellpose: .*c_seg.npy has no image c"):
        open_release(str(root), source="cellpose")


class Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_runs_no_code(tmp_path: Path, ids: np.ndarray) -> None:
    for protocol in range(2, 6):
        path = tmp_path / f"{protocol}_seg.npy"
        with path.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": ()})
            pickle.dump(np.array({"masks": ids[0].astype(np.int32)}, dtype=object), stream, protocol=protocol)
        np.testing.assert_array_equal(read_seg(path), ids[0])
        with path.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": ()})
            harm = np.array({"masks": Harmful(tmp_path / "touched")}, dtype=object)
            pickle.dump(harm, stream, protocol=protocol)
        with pytest.raises(InputError, match="may run code"):
            read_seg(path)
    assert not (tmp_path / "touched").exists()
    np.save(tmp_path / "v_seg.npy", {"masks": ids})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"save a volume as NAME_masks.tif"):
        read_seg(tmp_path / "v_seg.npy")
    np.save(tmp_path / "n_seg.npy", {"outlines": ids})  # type: ignore[arg-type]
    (tmp_path / "short_seg.npy").write_bytes(b"\x93NUMPY")
    (tmp_path / "text_seg.npy").write_bytes(b"no array at all")
    for name in ("n", "short", "text"):
        with pytest.raises(InputError, match="cannot be read as Cellpose"):
            read_seg(tmp_path / f"{name}_seg.npy")


def feature(outline: object, kind: str, geometry: str = "Polygon", **more: object) -> dict[str, object]:
    return {
        "type": "Feature",
        "geometry": {"type": geometry, "coordinates": outline},
        "properties": {"objectType": kind},
    } | more


def test_qupath(tmp_path: Path, raw: np.ndarray) -> None:
    root = tmp_path / "in"
    tif(root / "a.tif", raw[0])
    ring, hole = square(2, 3, 12, 20), square(4, 5, 8, 9)
    nucleus = {"type": "Polygon", "coordinates": [square(20, 22, 24, 26)]}
    content = {
        "type": "FeatureCollection",
        "features": [
            feature([square(0, 0, H, W)], "annotation"),
            feature([ring, hole], "detection"),
            feature(
                [[square(18, 20, 30, 30)], [square(32, 20, 34, 22)]],
                "cell",
                "MultiPolygon",
                nucleusGeometry=nucleus,
            ),
            feature([1, 2], "detection", "Point"),
        ],
    }
    file = dump(root / "a.geojson", content)
    truth = np.zeros((H, W), int)
    truth[2:12, 3:20] = 1
    truth[4:8, 5:9] = 0
    truth[18:30, 20:30] = truth[32:34, 20:22] = 2
    for where in ([root], [root / "a.tif", file], [root, root]):
        np.testing.assert_array_equal(imported("qupath", tmp_path, *where).labels("a"), truth)
    nuclei = imported("qupath", tmp_path, root, target="nucleus").labels("a")
    assert nuclei.sum() == nuclei[20:24, 22:26].sum() == 16
    # Annotations alone are the objects; a bare feature is a file too.
    dump(file, content["features"][0])
    assert (imported("qupath", tmp_path, root).labels("a") == 1).all()
    for broken, words in (
        ("{", "cannot be read as JSON"),
        ("{}", "no 'features'"),
        ("[3]", "feature that is not an object"),
    ):
        file.write_text(broken)
        with pytest.raises(InputError, match=words):
            imported("qupath", tmp_path, root)


def test_nothing_fits(tmp_path: Path, raw: np.ndarray) -> None:
    (tmp_path / "in").mkdir()
    for words, where, settings in (
        ("no such file or folder", [tmp_path / "none"], {}),
        ("looks like none of the layouts", [tmp_path / "in"], {}),
        ("looks like none of the layouts", [png(tmp_path / "a.png", raw[0])], {}),
        ("unknown source coc; known: lucchi_pp", [tmp_path / "in"], {"source": "coc"}),
        ("leave labels out", [tmp_path / "in", "labels"], {"source": "epfl"}),
        ("leave --stack out", [tmp_path / "in"], {"source": "epfl", "stack": True}),
        ("it has one kind of object", [tmp_path / "in"], {"source": "epfl", "target": "nuclei"}),
    ):
        with pytest.raises(InputError, match=words) as error:
            open_release(*map(str, where), **settings)  # type: ignore[arg-type]
        assert "\n" not in str(error.value)
    for source in SOURCES:
        for path in (tmp_path / "in", tmp_path / "a.png"):
            with pytest.raises(InputError) as error:
                open_release(str(path), source=source.name)
            assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "id;modality\r\naa;fluo\r\nbb;purple, stained\r\n",
        'id\tmodality\naa\tfluo\nbb\t"purple, stained"\n',
        '\ufeff"id","height","modality"\r\n"aa",40,fluo\r\n bb ,40,"purple, stained"\r\n\r\n',
        "sep=;\nid;modality\naa;fluo\nbb;purple, stained\n",
    ],
)
def test_an_index_as_spreadsheets_write_it(tmp_path: Path, raw: np.ndarray, text: str) -> None:
    for name in ("aa", "bb"):
        png(tmp_path / f"in/images/{name}.png", raw[0])
        png(tmp_path / f"in/labels/{name}.png", raw[0] // 100)
    (tmp_path / "in/index.csv").write_bytes(text.encode())
    release = open_release(str(tmp_path / "in"))
    assert release.source == "dsb2018"
    assert [piece.group for piece in release.slices] == ["fluo", "purple, stained"]
    (tmp_path / "in/index.csv").write_bytes(b"id,modality\n\xff\xfe")
    with pytest.raises(InputError, match=r"index\.csv cannot be read"):
        open_release(str(tmp_path / "in"))
