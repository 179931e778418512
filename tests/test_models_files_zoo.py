import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pooch
import pytest
import requests
import torch
import xxhash

from autosam.errors import ModelError
from autosam.models.files import zoo
from autosam.models.files.base_weights import base_state, find_base
from autosam.models.files.zoo import (
    BASES,
    BUNDLED,
    BaseWeights,
    base_weights,
    cached_path,
    fetch,
    home,
    resolve_model,
)
from autosam.models.variants import build_sam
from autosam.models.weights import detect_variant

CONTENT = b"weights"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """Give each test a home of its own, where nothing has been fetched."""
    monkeypatch.setenv("AUTOSAM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("AUTOSAM_OFFLINE", raising=False)
    return tmp_path / "home"


@pytest.fixture
def small_base(monkeypatch) -> BaseWeights:
    """Stand in for vit_b with a file of seven bytes."""
    digest = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    base = replace(BASES["vit_b"], hash=digest, size=len(CONTENT))
    monkeypatch.setitem(BASES, "vit_b", base)
    return base


@pytest.fixture
def network(monkeypatch) -> list[str]:
    """Replace the network by a list of the addresses asked for; each gives CONTENT."""
    asked: list[str] = []

    def download(self, url, output_file, _pooch):
        asked.append(url)
        Path(output_file).write_bytes(CONTENT)

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", download)
    return asked


def test_the_published_table_is_complete():
    assert list(BASES)[:3] == ["vit_b", "vit_l", "vit_h"]
    for base in list(BASES.values())[:3]:
        assert base.url == f"https://dl.fbaipublicfiles.com/segment_anything/{base.file}"
        assert len(base.hash) == len("sha256:") + 64
        assert base.file.startswith(f"sam_{base.name}_")
        assert base.license == "Apache-2.0"
    kinds = {f"{size}_{kind}" for size in ("vit_b", "vit_l") for kind in ("em_organelles", "lm", "histopathology")}
    assert {base.name for base in list(BASES.values())[3:]} == kinds | {
        "vit_h_histopathology",
        "vit_b_medical_imaging",
    }
    for base in list(BASES.values())[3:]:
        assert base.name.startswith(f"{base.variant}_")
        assert re.fullmatch("xxh128:[0-9a-f]{32}", base.hash)
        assert base.license.startswith("see its page (")
    for entries in ([base.hash for base in BASES.values()], [base.file for base in BASES.values()]):
        assert len(set(entries)) == len(BASES)


def test_a_derived_base_is_checked_by_its_own_kind_of_hash(network, folder, monkeypatch):
    digest = f"xxh128:{xxhash.xxh128(CONTENT).hexdigest()}"
    monkeypatch.setitem(BASES, "vit_b_lm", replace(BASES["vit_b_lm"], hash=digest))
    path = fetch("vit_b_lm")
    assert network == [BASES["vit_b_lm"].url]
    assert path == folder / "vit_b_lm.pt"
    assert base_weights("vit_b_lm").read_bytes() == CONTENT
    path.write_bytes(b"cut")
    with pytest.raises(ModelError, match=rf"has xxh128 [0-9a-f]{{32}}, wanted {digest[7:]}: delete it"):
        base_weights("vit_b_lm")


def test_a_derived_base_is_a_sam_once_it_is_fetched(folder, monkeypatch):
    folder.mkdir()
    path = folder / "vit_b_em_organelles.pt"
    torch.save(build_sam("tiny", image_size=64).state_dict(), path)
    digest = f"xxh128:{xxhash.xxh128(path.read_bytes()).hexdigest()}"
    monkeypatch.setitem(BASES, path.stem, replace(BASES[path.stem], hash=digest))
    assert find_base(path.stem) == path
    assert detect_variant(base_state(path)) == "tiny"


def test_home_is_the_variable_or_the_cache(monkeypatch, tmp_path):
    assert home() == tmp_path / "home"
    monkeypatch.setenv("AUTOSAM_HOME", "~/models")
    assert home() == Path.home() / "models"
    for unset in (lambda: monkeypatch.setenv("AUTOSAM_HOME", ""), lambda: monkeypatch.delenv("AUTOSAM_HOME")):
        unset()
        assert home() == Path(pooch.os_cache("autosam"))


def test_fetch_downloads_once_and_checks_the_hash(small_base, network, folder):
    assert fetch("vit_b") == folder / small_base.file
    assert fetch("vit_b") == folder / small_base.file
    assert network == [small_base.url]
    assert base_weights("vit_b").read_bytes() == CONTENT


def test_a_damaged_file_is_refused_and_fetched_again(small_base, network, folder):
    path = fetch("vit_b")
    path.write_bytes(b"cut")
    with pytest.raises(ModelError) as caught:
        base_weights("vit_b")
    for part in (hashlib.sha256(b"cut").hexdigest(), small_base.hash[7:], "autosam models fetch vit_b"):
        assert part in str(caught.value)
    fetch("vit_b")
    assert base_weights("vit_b").read_bytes() == CONTENT


def test_a_download_with_another_hash_leaves_nothing_behind(network, folder):
    with pytest.raises(ModelError, match=r"cannot fetch vit_l .*try again, or download https://") as caught:
        fetch("vit_l")
    assert "\n" not in str(caught.value)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError("Max retries exceeded:\nname resolution failed"),
        requests.HTTPError("403 Forbidden"),
        requests.Timeout("timed out"),
        OSError(28, "No space left on device"),
    ],
)
def test_errors_of_network_and_disk_are_one_line(monkeypatch, folder, error):
    def fail(self, url, output_file, _pooch):
        raise error

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", fail)
    with pytest.raises(ModelError, match="cannot fetch vit_b") as caught:
        fetch("vit_b")
    assert "\n" not in str(caught.value)
    assert str(folder / BASES["vit_b"].file) in str(caught.value)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("way", ["option", "variable"])
def test_offline_refuses_and_says_where_to_put_the_file(small_base, network, folder, monkeypatch, way):
    if way == "variable":
        monkeypatch.setenv("AUTOSAM_OFFLINE", "1")
    with pytest.raises(ModelError) as caught:
        fetch("vit_b", offline=way == "option")
    assert f"download {small_base.url} elsewhere and put it at {folder / small_base.file}" in str(caught.value)
    assert network == []
    folder.mkdir()
    (folder / small_base.file).write_bytes(CONTENT)
    assert fetch("vit_b", offline=way == "option") == folder / small_base.file


def test_offline_set_to_zero_is_online(small_base, network, monkeypatch):
    monkeypatch.setenv("AUTOSAM_OFFLINE", "0")
    fetch("vit_b")
    assert network == [small_base.url]


def test_base_weights_never_downloads(network):
    with pytest.raises(ModelError, match=r"vit_b are not on this machine .*`autosam models fetch vit_b`"):
        base_weights("vit_b")
    assert network == []


@pytest.mark.parametrize("function", [base_weights, fetch, cached_path])
def test_unknown_bases_are_refused_with_the_known_ones(function, network):
    with pytest.raises(ModelError, match=r"named 'vitb'; known: vit_b, vit_l, vit_h, .*; did you mean vit_b"):
        function("vitb")
    with pytest.raises(ModelError, match=r"named 'xyz'; known: vit_b, vit_l, vit_h, .*vit_b_medical_imaging$"):
        function("xyz")
    with pytest.raises(ModelError, match=r"named 'my/sam\.pth' and no such file exists; known: vit_b"):
        function("my/sam.pth")
    with pytest.raises(ModelError, match="mito comes with autosam: nothing to fetch"):
        function("mito")
    assert network == []


def test_a_file_is_found_by_its_path(tmp_path, monkeypatch):
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"")
    assert resolve_model(path) == path
    assert resolve_model(str(path)) == path
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve_model("~/mine.safetensors") == path
    monkeypatch.chdir(tmp_path)
    assert resolve_model("mine.safetensors") == Path("mine.safetensors")


def test_a_bundled_model_is_found_by_name_even_beside_a_file_of_that_name(tmp_path, monkeypatch):
    bundled = tmp_path / "package"
    (bundled / "bundled").mkdir(parents=True)
    monkeypatch.setattr(zoo, "files", lambda package: bundled)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mito").write_bytes(b"")
    with pytest.raises(ModelError, match=r"bundled model mito is not at .*install autosam again"):
        resolve_model("mito")
    BUNDLED["mito"].path.write_bytes(b"")
    assert resolve_model("mito") == bundled / "bundled" / "mito.safetensors"


def test_the_bundled_folder_is_in_the_package():
    assert BUNDLED["mito"].path == Path(zoo.__file__).parents[1] / "bundled" / "mito.safetensors"


def test_a_mistyped_name_or_path_is_never_replaced(tmp_path):
    (tmp_path / "mine.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"named 'mitto' and .*known: mito, nuclei; did you mean mito\?"):
        resolve_model("mitto")
    with pytest.raises(ModelError, match=rf"known: mito, nuclei; did you mean {tmp_path}/mine\.safetensors\?"):
        resolve_model(tmp_path / "mien.safetensors")
    with pytest.raises(ModelError, match=r"known: mito, nuclei$"):
        resolve_model(tmp_path / "nowhere" / "x.safetensors")
    with pytest.raises(ModelError, match="is a folder"):
        resolve_model(tmp_path)
    with pytest.raises(ModelError, match="vit_b is base weights to train on, not a model: use one of mito"):
        resolve_model("vit_b")
    with pytest.raises(ModelError, match="no model is named '' and no such file exists; known: mito"):
        resolve_model("")
