"""The page of a volume: what it serves, with Neuroglancer's own server, and in a browser where there is one."""

import builtins
import io
import json
import socket
import urllib.request
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from test_volumes_view_layers import written

from autosam.errors import ConfigError, InputError
from autosam.volumes.open_volume import open_volume
from autosam.volumes.view_server import recorded_source, serve_view

neuroglancer = pytest.importorskip("neuroglancer")


def drawn() -> np.ndarray:
    labels = np.zeros((4, 40, 60), np.uint16)
    labels[1:3, 10:20, 20:40] = 5
    return labels


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as answer:
        found: bytes = answer.read()
        return found


def test_a_store_is_served_with_its_surfaces(tmp_path: Path) -> None:
    labels = drawn()
    path = written(tmp_path / "mito.zarr", labels)
    tifffile.imwrite(tmp_path / "raw.tif", labels.astype(np.uint8) * 20, photometric="minisblack")
    with serve_view(str(path), str(tmp_path / "raw.tif")) as page:
        assert b"<html" in fetch(page.url)
        image, layer = page.state["layers"]
        address, meshes = layer["source"]
        metadata = json.loads(fetch(f"{address.removeprefix('zarr://')}/zarr.json"))
        assert metadata["attributes"]["ome"]["image-label"] == {}
        assert layer["segments"] == ["5"]
        key = image["source"]["url"].removeprefix("python://volume/")
        root = page.url.split("/v/")[0]
        told = json.loads(fetch(f"{root}/neuroglancer/info/{key}"))
        assert told["shape"] == [4, 40, 60]
        assert told["volumeType"] == "image"
        packed = fetch(f"{root}/neuroglancer/npz/{key}/1,1,1/1,10,20/2,12,60")
        body = np.load(io.BytesIO(zlib.decompress(packed)))
        np.testing.assert_array_equal(body.reshape(1, 2, 40), labels[1:2, 10:12, 20:60] * 20)
        mesh = meshes["url"].removeprefix("python://volume/")
        assert len(fetch(f"{root}/neuroglancer/mesh/{mesh}/5")) > 100
    with pytest.raises(OSError, match=r"refused|reset"):
        fetch(page.url)


def test_labels_of_other_formats_are_read_here(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "l.tif", drawn(), photometric="minisblack")
    with serve_view(str(tmp_path / "l.tif")) as page:
        (layer,) = page.state["layers"]
        assert layer["type"] == "segmentation"
        key = layer["source"]["url"].removeprefix("python://volume/")
        told = json.loads(fetch(f"{page.url.split('/v/')[0]}/neuroglancer/info/{key}"))
        assert told["volumeType"] == "segmentation"


def test_a_volume_on_the_same_grid_is_served_as_it_is(tmp_path: Path) -> None:
    labels = written(tmp_path / "mito.zarr", drawn())
    same = written(tmp_path / "raw.zarr", drawn())
    with serve_view(str(labels), str(same)) as page:
        assert page.state["layers"][0]["source"].startswith("zarr://http://127.0.0.1:")


def test_a_part_of_a_volume_lies_where_its_labels_lie(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (9, 60, 80)).astype(np.uint8)
    part = open_volume(pixels).cut((slice(2, 6), slice(10, 50), slice(5, 65)))
    labels = written(tmp_path / "mito.zarr", drawn(), origin=(2, 10, 5))
    with serve_view(str(labels), part) as page:
        image, layer = page.state["layers"]
        root = page.url.split("/v/")[0]
        # Surfaces are made of an array with a margin.
        for source, margin in ((image["source"], 0), (layer["source"][1], 1)):
            told = json.loads(fetch(f"{root}/neuroglancer/info/{source['url'].removeprefix('python://volume/')}"))
            assert [int(side) + margin for side in told["voxelOffset"]] == [2, 10, 5]
            assert [side - 2 * margin for side in told["shape"]] == [4, 40, 60]
    tifffile.imwrite(tmp_path / "mito.tif", drawn(), photometric="minisblack")
    with serve_view(str(tmp_path / "mito.tif"), part) as page:
        key = page.state["layers"][0]["source"]["url"].removeprefix("python://volume/")
        told = json.loads(fetch(f"{page.url.split('/v/')[0]}/neuroglancer/info/{key}"))
        assert [int(side) for side in told["voxelOffset"]] == [0, 0, 0]


def test_ports_that_are_given_or_in_use(tmp_path: Path) -> None:
    path = str(written(tmp_path / "mito.zarr", drawn()))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} cannot be used"), serve_view(path, port=port):
            pass
    with serve_view(path, port=port) as page:
        assert f":{port}/" in page.url
        assert f":{port + 1}/" in page.state["layers"][0]["source"][0]


def test_a_missing_package_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "neuroglancer":
            raise ModuleNotFoundError("No module named 'neuroglancer'", name="neuroglancer")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"package neuroglancer; pip install 'autosam\[view\]'"):
        serve_view(str(tmp_path / "x.zarr")).__enter__()


def test_labels_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"), serve_view(str(tmp_path / "x.zarr")):
        pass


def test_the_volume_of_the_record(tmp_path: Path) -> None:
    labels = str(tmp_path / "mito.zarr")
    assert recorded_source(labels) is None
    (tmp_path / "mito_run.json").write_text(json.dumps({"source": str(tmp_path / "raw.tif")}))
    assert recorded_source(labels) is None
    (tmp_path / "raw.tif").write_bytes(b"x")
    assert recorded_source(labels) == str(tmp_path / "raw.tif")
    (tmp_path / "mito_run.json").write_text("[]")
    assert recorded_source(labels) is None
