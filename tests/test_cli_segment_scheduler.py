"""`autosam segment --scheduler`: images of a folder on workers of dask."""

import json

import numpy as np
import pytest
import tifffile
from fake_networks import draw_ellipses
from small_models import GENERATOR_ALONE, write_model

from autosam.cli import main
from autosam.cli.segment_workers import Place, choose_place
from autosam.errors import ConfigError
from autosam.instances import read_table

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

SPOTS, _ = draw_ellipses((64, 96), [(18, 20, 9, 12), (45, 60, 10, 9)])


@pytest.fixture
def images(tmp_path):
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(0)
    for name in "abcd":
        noise = rng.integers(0, 25, SPOTS.shape).astype(np.uint8)
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", SPOTS + noise, photometric="minisblack")
    (tmp_path / "in" / "broken.tif").write_bytes(b"II*\0no image")
    write_model(tmp_path / "model.safetensors", *GENERATOR_ALONE)
    return tmp_path / "in"


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["autosam", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code or 0


def results(out):
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.suffix != ".json"}


@pytest.mark.slow
def test_a_cluster_gives_the_bytes_of_one_process(images, tmp_path, monkeypatch, capsys):
    # Relative paths are those of the command, not of the workers.
    monkeypatch.chdir(tmp_path)
    options = ["-m", "nuclei", "--device", "cpu", "--export", "geojson"]
    assert run(monkeypatch, "segment", images, "-o", "here", *options) == 1
    with (
        monkeypatch.context() as patch,
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=None
        ) as cluster,
    ):
        patch.chdir(tmp_path)
        cluster_options = [*options, "--scheduler", cluster.scheduler_address]
        assert run(monkeypatch, "segment", "in", "-o", "dask", *cluster_options) == 1
        told = capsys.readouterr()
        assert "4 images segmented" in told.out
        assert "broken.tif" in told.err
        assert results(tmp_path / "dask") == results(tmp_path / "here")
        assert all(len(read_table(tmp_path / "dask" / f"{name}_instances.csv")) == 2 for name in "abcd")
        entries = [
            json.loads((tmp_path / name / "autosam_run.json").read_text())["images"] for name in ("here", "dask")
        ]
        assert {name: entry.get("files") for name, entry in entries[0].items()} == {
            name: entry.get("files") for name, entry in entries[1].items()
        }
        assert run(monkeypatch, "segment", "in", "-o", "dask", *cluster_options) == 1
        assert "4 images skipped" in capsys.readouterr().out


def test_a_scheduler_stands_alone():
    assert choose_place("auto", None, None, "tcp://a:1", 5) == Place(("auto",), scheduler="tcp://a:1")
    assert choose_place("cpu", 3, None, None, 2) == Place(("cpu", "cpu"), workers=3)
    assert choose_place("auto", None, None, None, 5) == Place(("auto",))
    for workers, devices, option in ((2, None, "--workers"), (None, "0,1", "--devices")):
        with pytest.raises(ConfigError, match=rf"--scheduler and {option} exclude each other"):
            choose_place("auto", workers, devices, "tcp://a:1", 5)


def test_no_scheduler_is_one_line_before_any_work(images, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("autosam.pipeline.dask_cluster.PATIENCE", "1s")
    model = ["-m", tmp_path / "model.safetensors"]
    code = run(monkeypatch, "segment", images, "-o", tmp_path / "out", *model, "--scheduler", "tcp://127.0.0.1:9")
    assert code == 2
    assert "no dask scheduler answers at tcp://127.0.0.1:9" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()
