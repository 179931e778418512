"""Compiled networks: the same answers to rounding, the same objects; a clear line where no compiler is."""

import shutil
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import tifffile
import torch
from blobs import discs, small_config
from fake_networks import draw_ellipses
from small_models import write_model

from autosam import cli
from autosam.errors import ConfigError
from autosam.models import compiling
from autosam.models.compiling import check_compiler, compile_networks
from autosam.models.generator.maps import predict_maps
from autosam.models.networks import build_networks
from autosam.models.sam.interface import encode
from autosam.models.statistics.novelty import describe_tiles
from autosam.pipeline.segmenter import Segmenter
from autosam.prompts import Prompt


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """Hide every compiler."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(compiling, "find_spec", lambda name: None)


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("cpu", "C\\+\\+ compiler"), ("cuda", "wants Triton for cuda"), ("mps", "use --device cpu")],
)
def test_a_device_without_a_compiler_is_refused(bare, kind, wanted):
    with pytest.raises(ConfigError, match=f"{wanted}.*leave --compile and decode.compile out"):
        check_compiler(kind)


def test_a_compiler_that_cxx_names_is_enough(bare, monkeypatch):
    monkeypatch.setenv("CXX", sys.executable)
    check_compiler("cpu")


def test_networks_are_compiled_only_where_asked(bare):
    config = small_config()
    networks = build_networks(config.model)
    compile_networks(networks, config)
    asked = config.model_copy(update={"decode": config.decode.model_copy(update={"compile": True})})
    with pytest.raises(ConfigError, match="wants a C"):
        compile_networks(networks, asked)
    # Other settings of a loaded model come to the same.
    with pytest.raises(ConfigError, match="wants a C"):
        Segmenter(networks, config).with_settings(asked)


@pytest.mark.parametrize("more", [[], ["--workers", "2"]])
def test_the_command_refuses_before_any_work(bare, tmp_path, monkeypatch, capsys, more):
    write_model(tmp_path / "model.safetensors")
    for name in ("a", "b"):
        tifffile.imwrite(tmp_path / f"{name}.tif", draw_ellipses((64, 64), [(20, 30, 9, 12)])[0])
    files = [str(tmp_path / name) for name in ("a.tif", "b.tif")]
    model = ["-m", str(tmp_path / "model.safetensors"), "--device", "cpu", "--compile"]
    monkeypatch.setattr(sys, "argv", ["autosam", "segment", *files, "-o", str(tmp_path / "out"), *model, *more])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    captured = capsys.readouterr()
    assert (stop.value.code, captured.out) == (2, "")
    (line,) = captured.err.strip().splitlines()
    assert "decode.compile wants a C++ compiler" in line
    assert not (tmp_path / "out").exists()


def test_a_compiler_that_fails_is_told(monkeypatch, tmp_path):
    (tmp_path / "g++").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "g++").chmod(0o755)
    write_model(tmp_path / "model.safetensors")
    code = (
        "from autosam.pipeline.segmenter import Segmenter\nfrom autosam.errors import ConfigError\n"
        "try: Segmenter.from_model('model.safetensors', device='cpu', overrides=['decode.compile=true'])\n"
        "except ConfigError as error: print(error)"
    )
    monkeypatch.setenv("CXX", str(tmp_path / "g++"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=600
    )
    (line,) = run.stdout.strip().splitlines()
    assert line.startswith("torch.compile cannot compile this model for cpu (")
    assert "leave --compile and decode.compile out" in line


@pytest.mark.filterwarnings("ignore")  # Those of torch's compiler.
def test_tiles_are_described_for_the_novelty_all_the_same(monkeypatch):
    config = small_config("model.sam=null", "decode.sam=false", "decode.compile=true", "tiles.size=32")
    networks = build_networks(config.model)
    networks.generator.eval()
    image = discs(seed=1, side=32)[0] / np.float32(255)

    def described():
        with describe_tiles(networks.generator) as tiles:
            maps = predict_maps(networks.generator, image, tile_size=32, overlap=0.0, precision="float32")
        return tiles, maps

    tiles, maps = described()
    # What torch.compile traces is run as it is, without a compiler.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    monkeypatch.setattr(compiling, "check_compiler", lambda kind: None)
    compile_networks(networks, config)
    again, same = described()
    assert len(tiles) == len(again) == 1
    np.testing.assert_allclose(again[0], tiles[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(same["foreground"], maps["foreground"], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler, which torch.compile wants")
@pytest.mark.filterwarnings("ignore")  # Those of torch's compiler.
def test_compiled_networks_answer_alike():
    image, labels = discs(seed=1, side=64)
    config = small_config("prompts.method=user", "tiles.size=64")
    asked = config.model_copy(update={"decode": config.decode.model_copy(update={"compile": True})})
    networks = build_networks(config.model)
    for part in networks.parts:
        part.eval()
    rows, columns = np.nonzero(labels == 1)
    box = np.array([rows.min(), columns.min(), rows.max(), columns.max()], dtype=np.float64)
    prompt = Prompt(points=np.empty((0, 2)), point_labels=np.empty(0, dtype=np.int64), box=box)
    torch.manual_seed(0)
    tile = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        features, logits = encode(networks.sam, image).features, networks.generator(tile)
    plain = Segmenter(networks, config)
    view = plain.view(image)
    masks = plain.decode(view, plain.propose(view, plain.predict(view), [prompt]))

    segmenter = plain.with_settings(asked)
    with torch.no_grad():
        torch.testing.assert_close(encode(networks.sam, image).features, features, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(networks.generator(tile), logits, rtol=1e-4, atol=1e-5)
    again = segmenter.decode(view, segmenter.propose(view, segmenter.predict(view), [prompt]))
    assert len(masks) == len(again) == 1
    assert masks[0].score == pytest.approx(again[0].score, abs=1e-4)
    assert (masks[0].row, masks[0].col) == (again[0].row, again[0].col)
    np.testing.assert_array_equal(masks[0].mask, again[0].mask)
