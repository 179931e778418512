import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_models import GENERATOR_ALONE, write_base, write_model
from typer.testing import CliRunner

from autosam.cli.models import models
from autosam.errors import ConfigError, ModelError
from autosam.models.files import zoo
from autosam.models.files.checkpoint import ModelHeader, join_parts, save_model
from autosam.models.files.file_hash import file_sha256
from autosam.models.parameters import adapter_state_dict
from autosam.models.sam.lora import add_lora
from autosam.models.variants import build_sam


@pytest.fixture(autouse=True)
def package(tmp_path, monkeypatch) -> Path:
    """Give each test an empty home and a package without bundled models."""
    monkeypatch.setenv("AUTOSAM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("AUTOSAM_OFFLINE", raising=False)
    monkeypatch.setattr(zoo, "files", lambda package: tmp_path / "package")
    (tmp_path / "package" / "bundled").mkdir(parents=True)
    return tmp_path / "package"


@pytest.fixture
def sam():
    torch.manual_seed(0)
    return build_sam("tiny", image_size=64)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(models, arguments)
    if isinstance(result.exception, ModelError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def row(output: str, name: str) -> list[str]:
    return next(line.split() for line in output.splitlines() if line.startswith(name))


def test_list_says_what_is_present(tmp_path, package):
    output = run("list")
    assert row(output, "name") == ["name", "kind", "size", "license", "present"]
    assert row(output, "mito") == ["mito", "model", "?", "CC", "BY-NC-SA", "3.0", "no"]
    assert row(output, "vit_b ") == ["vit_b", "base", "375.0", "MB", "Apache-2.0", "no"]
    assert row(output, "vit_l ") == ["vit_l", "base", "?", "Apache-2.0", "no"]
    derived = ["see", "its", "page", "(noisy-ox", "on", "bioimage.io)"]
    assert row(output, "vit_b_em_organelles") == ["vit_b_em_organelles", "base", "?", *derived, "no"]
    (tmp_path / "home").mkdir()
    zoo.cached_path("vit_l").write_bytes(bytes(2_000_000))
    zoo.BUNDLED["mito"].path.write_bytes(bytes(500_000))
    output = run("list")
    assert row(output, "mito") == ["mito", "model", "0.5", "MB", "CC", "BY-NC-SA", "3.0", "yes"]
    assert row(output, "vit_l ") == ["vit_l", "base", "2.0", "MB", "Apache-2.0", "yes"]


def test_fetch_offline_says_where_to_put_the_file():
    with pytest.raises(ModelError, match=rf"put it at {zoo.home()}/sam_vit_b_01ec64\.pth"):
        run("fetch", "vit_b", "--offline")


def test_fetch_prints_the_path(monkeypatch, tmp_path):
    monkeypatch.setattr(zoo, "fetch", lambda name, *, offline: tmp_path / f"{name}-{offline}")
    assert run("fetch", "vit_b") == f"vit_b is at {tmp_path}/vit_b-False\n"


def test_show_a_bundled_model_with_its_card(sam, package):
    path = package / "bundled" / "mito.safetensors"
    save_model(
        path,
        tensors=join_parts({"generator": {"head.weight": torch.zeros(2, 3)}, "sam": sam.state_dict()}),
        metadata=ModelHeader(settings={"variant": "tiny"}, training={"steps": 12}, license="CC BY-NC-SA 3.0"),
    )
    path.with_suffix(".md").write_text("# mito\n\nTrained on epfl and vnc.\n", encoding="utf-8")
    output = run("show", "mito")
    assert f"file      {path}\n" in output
    assert f"sha256    {file_sha256(path)}\n" in output
    assert "license   CC BY-NC-SA 3.0\n" in output
    assert "base      none: everything is in this file\n" in output
    assert "variant: tiny" in output
    assert "steps: 12" in output
    assert row(output, "generator") == ["generator", "1", "6"]
    decoder = sam.mask_decoder.state_dict()
    assert row(output, "mask_decoder") == [
        "mask_decoder",
        f"{len(decoder)}",
        f"{sum(tensor.numel() for tensor in decoder.values()):,}",
    ]
    assert output.endswith("# mito\n\nTrained on epfl and vnc.\n")


def test_show_a_model_on_a_base(sam, tmp_path):
    add_lora(sam.image_encoder, rank=4, alpha=4)
    adapter = adapter_state_dict(sam.image_encoder)
    path = tmp_path / "mine.safetensors"
    save_model(
        path,
        tensors=join_parts({"adapter": adapter}),
        metadata=ModelHeader(settings={}, base_name="vit_b", base_sha256="ec2df6"),
    )
    output = run("show", str(path))
    assert "base      vit_b (sha256 ec2df6)\n" in output
    assert "license   not stated\n" in output
    assert "settings" not in output
    assert row(output, "adapter") == ["adapter", "(LoRA)", "16", f"{sum(map(torch.numel, adapter.values())):,}"]
    assert "model card" not in output


def test_show_published_weights(sam, tmp_path):
    path = tmp_path / "w.pth"
    torch.save(sam.state_dict(), path)
    output = run("show", str(path))
    assert "variant   tiny\n" in output
    total = sum(tensor.numel() for tensor in sam.state_dict().values())
    assert row(output, "all") == ["all", f"{len(sam.state_dict())}", f"{total:,}"]
    torch.save({"x": torch.zeros(3)}, path)
    assert "variant   not a SAM that autosam knows\n" in run("show", str(path))


def test_show_refuses_what_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="did you mean mito"):
        run("show", "mitoo")
    with pytest.raises(ModelError, match="bundled model mito is not at"):
        run("show", "mito")
    with pytest.raises(ModelError, match="autosam models fetch vit_h"):
        run("show", "vit_h")
    (tmp_path / "cut.safetensors").write_bytes(b"abc")
    with pytest.raises(ModelError, match="damaged"):
        run("show", str(tmp_path / "cut.safetensors"))
    result = CliRunner().invoke(models, ["show", str(tmp_path / "cut.safetensors")])
    assert result.output == "", "nothing is said about a file that cannot be read"


def test_listing_needs_no_torch():
    program = (
        "import sys, typer.testing\n"
        "from autosam.cli.models import models\n"
        "assert typer.testing.CliRunner().invoke(models, ['list']).exit_code == 0\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    # The command's module alone: `autosam.cli` imports every command, which has its own test.
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_combine_writes_a_model_and_its_card(tmp_path):
    generator, base = write_model(tmp_path / "generator.safetensors", *GENERATOR_ALONE), write_base(tmp_path)
    out = tmp_path / "mine.safetensors"
    output = run("combine", str(generator), "--sam", str(base), "-o", str(out))
    assert f"{out} joins the generator of {generator} with the SAM of {base}; its card is" in output
    assert "License: generator: not stated; SAM: not stated." in output
    assert "SAM is told | points and boxes, no masks; fusion 0" in run("show", str(out))


@pytest.mark.parametrize("out", ["mine.pth", "gone/mine.safetensors"])
def test_combine_wants_a_model_file_in_a_folder(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(models, ["combine", "mito", "--sam", "vit_b", "-o", out])
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception).startswith(f"--output {out}: wanted a file that ends in .safetensors")
