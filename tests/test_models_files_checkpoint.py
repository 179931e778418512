import errno
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from autosam.errors import ModelError, OutputError
from autosam.models.files.checkpoint import (
    FORMAT_VERSION,
    STATISTICS,
    ModelHeader,
    join_parts,
    load_model,
    read_header,
    save_model,
    split_parts,
)
from autosam.models.statistics.novelty import NoveltyStatistics

HEADER = ModelHeader(
    settings={
        "variant": "tiny",
        "generator": {"encoder": "resnet18", "channels": ["foreground", "boundary"]},
    },
    base_name="vit_b",
    base_sha256="ec2df6",
    training={"steps": 1000, "scores": {"AP50": 0.7}, "who": "Müller"},
    license="CC BY-NC-SA 3.0",
)


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64))
    network(torch.randn(2, 3, 8, 8))
    return join_parts({"generator": network.state_dict(), "sam": {"position": torch.randn(2, 128)}})


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "model.safetensors"


def test_tensors_and_header_come_back_as_they_were(tensors, path):
    save_model(path, tensors=tensors, metadata=HEADER)
    loaded, header = load_model(path)
    assert same(loaded, tensors)
    assert list(loaded) == sorted(tensors)
    assert header == HEADER
    assert read_header(str(path)) == HEADER
    assert list(path.parent.iterdir()) == [path]


def test_a_header_of_defaults(tensors, path):
    save_model(path, tensors=tensors, metadata=ModelHeader(settings={}))
    assert read_header(path) == ModelHeader(settings={}, format_version=FORMAT_VERSION)


def test_half_shrinks_weights_and_keeps_what_needs_precision(tensors, path):
    save_model(path, tensors=tensors, metadata=HEADER, half=True)
    stored = {name: tensor.dtype for name, tensor in load_file(path).items()}
    assert stored == {
        "generator.0.weight": torch.float16,
        "generator.0.bias": torch.float32,
        "generator.1.weight": torch.float32,
        "generator.1.bias": torch.float32,
        "generator.1.running_mean": torch.float32,
        "generator.1.running_var": torch.float32,
        "generator.1.num_batches_tracked": torch.int64,
        "sam.position": torch.float32,
    }
    loaded, _ = load_model(path)
    weight = "generator.0.weight"
    assert loaded[weight].dtype == torch.float32
    assert torch.equal(loaded[weight], tensors[weight].half().float())
    assert same(
        {name: tensor for name, tensor in loaded.items() if name != weight},
        {name: tensor for name, tensor in tensors.items() if name != weight},
    )


def test_what_is_read_as_stored_is_written_again_bit_for_bit(tensors, path):
    save_model(path, tensors=tensors, metadata=HEADER, half=True)
    again = path.with_name("again.safetensors")
    save_model(again, tensors=load_model(path, as_stored=True)[0], metadata=HEADER)
    assert again.read_bytes() == path.read_bytes()


def test_half_shrinks_rows_of_weights_but_no_running_statistics(path):
    rows = {f"generator.1.{name}": torch.linspace(0, 1, 128) for name in ("weight", "bias", "running_mean")}
    rows["generator.2.bias"] = torch.linspace(0, 1, 127)
    save_model(path, tensors=rows, metadata=HEADER, half=True)
    assert [name for name, tensor in load_file(path).items() if tensor.dtype == torch.float16] == [
        "generator.1.bias",
        "generator.1.weight",
    ]


def test_half_changes_novelty_by_less_than_a_thousandth(path):
    draw = torch.Generator().manual_seed(0)
    directions = torch.linalg.qr(torch.randn(64, 64, generator=draw))[0].T
    values = {
        "means": torch.randn(32, 64, generator=draw),
        "components": directions[:32],
        "variances": torch.logspace(0, -4, 32),
        **{name: torch.ones(()) for name in ("growth", "limit", "uncertain_growth", "uncertain_rate")},
        "rest": torch.tensor(1e-4),
    }
    save_model(path, tensors=join_parts({STATISTICS: values}), metadata=HEADER, half=True)
    tiles = torch.randn(100, 64, generator=draw).numpy()
    exact, stored = (
        NoveltyStatistics.from_state_dict(state, channels=32).distances(tiles)
        for state in (values, split_parts(load_model(path)[0])[STATISTICS])
    )
    assert stored == pytest.approx(exact, rel=1e-3)
    assert (stored != exact).any()


def test_half_keeps_values_that_float16_cannot_hold(path):
    big = {"sam.weight": torch.full((64, 64), 1e6)}
    save_model(path, tensors=big, metadata=HEADER, half=True)
    assert same(load_model(path)[0], big)


def test_other_floating_types_come_back_as_float32(path):
    save_model(
        path,
        tensors={"a.x": torch.ones(3, dtype=torch.bfloat16), "a.y": torch.ones(3, dtype=torch.float64)},
        metadata=HEADER,
    )
    loaded, _ = load_model(path)
    assert loaded["a.x"].dtype == torch.float32
    assert loaded["a.y"].dtype == torch.float64


def test_views_shared_and_trained_tensors_are_stored(path):
    weight = nn.Parameter(torch.randn(4, 6))
    save_model(path, tensors={"a.x": weight, "a.tied": weight, "a.t": weight.T}, metadata=HEADER)
    loaded, _ = load_model(path)
    assert torch.equal(loaded["a.x"], weight)
    assert torch.equal(loaded["a.tied"], weight)
    assert torch.equal(loaded["a.t"], weight.T)


def test_the_same_model_gives_the_same_bytes_in_every_process(tmp_path):
    program = (
        "import sys, torch\n"
        "from autosam.models.files.checkpoint import ModelHeader, save_model\n"
        "tensors = {f'a.{name}': torch.arange(4.) for name in sys.argv[2]}\n"
        "header = ModelHeader(settings={name: name for name in sys.argv[2]})\n"
        "save_model(sys.argv[1], tensors=tensors, metadata=header)\n"
    )
    paths = [tmp_path / f"{index}.safetensors" for index in range(2)]
    for seed, (path, order) in enumerate(zip(paths, ("abcdefgh", "hgfedcba"), strict=True)):
        environment = os.environ | {"PYTHONHASHSEED": str(seed)}
        subprocess.run([sys.executable, "-c", program, path, order], check=True, env=environment)
    assert len({path.read_bytes() for path in paths}) == 1


def test_an_existing_file_is_replaced(tensors, path):
    path.write_bytes(b"old")
    save_model(path, tensors=tensors, metadata=HEADER)
    assert read_header(path) == HEADER


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tensors, path, monkeypatch):
    save_model(path, tensors=tensors, metadata=HEADER)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"model\.safetensors cannot be written: No space left on device"):
        save_model(path, tensors=tensors, metadata=replace(HEADER, license="other"))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_folders_that_cannot_be_written_to(tensors, tmp_path):
    with pytest.raises(OutputError, match="No such file or directory"):
        save_model(tmp_path / "gone" / "m.safetensors", tensors=tensors, metadata=HEADER)
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        save_model(tmp_path / "folder.safetensors", tensors=tensors, metadata=HEADER)
    assert [item.name for item in tmp_path.iterdir()] == ["folder.safetensors"]


def test_nothing_to_save_and_another_suffix_are_refused(tensors, tmp_path):
    with pytest.raises(ModelError, match="no tensors were given"):
        save_model(tmp_path / "m.safetensors", tensors={}, metadata=HEADER)
    with pytest.raises(ModelError, match=r"m\.pth does not end in \.safetensors"):
        save_model(tmp_path / "m.pth", tensors=tensors, metadata=HEADER)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", [0, 4, 8, 100, 2000, -1])
def test_a_truncated_file_is_refused(tensors, path, kept):
    save_model(path, tensors=tensors, metadata=HEADER)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelError, match="is damaged, cut short or not a safetensors file") as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


def test_files_of_other_kinds_are_refused(tmp_path, tensors):
    with pytest.raises(ModelError, match=r"gone\.safetensors is no file"):
        load_model(tmp_path / "gone.safetensors")
    with pytest.raises(ModelError, match="is a folder"):
        load_model(tmp_path)
    torch.save(tensors, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"torch weight file, wanted an autosam model"):
        load_model(tmp_path / "w.pth")
    for metadata in (None, {"format": "pt"}):
        save_file(tensors, tmp_path / "w.safetensors", metadata=metadata)
        with pytest.raises(ModelError, match="no autosam header, so it is not an autosam model"):
            load_model(tmp_path / "w.safetensors")


def test_a_flipped_bit_is_refused_wherever_it_is(path):
    saved = {"generator.bias": torch.arange(8.0), "generator.count": torch.tensor(3)}
    header = ModelHeader(settings={"merge": {"min_score": 0.3}}, license="MIT")
    save_model(path, tensors=saved, metadata=header)
    whole = path.read_bytes()
    for position in range(8, len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        try:
            loaded, read = load_model(path)
        except ModelError:
            continue
        # Spaces of JSON, and letters that JSON writes in two ways, say the same.
        assert same(loaded, saved), position
        assert read == header, position
    path.write_bytes(whole)
    assert same(load_model(path)[0], saved)


def test_a_flipped_bit_of_a_tensor_is_told(tensors, path):
    save_model(path, tensors=tensors, metadata=HEADER, half=True)
    changed = bytearray(path.read_bytes())
    changed[-5] ^= 4
    path.write_bytes(changed)
    with pytest.raises(ModelError, match=r"is damaged: its content does not fit its checksum; get the file again"):
        load_model(path)


def test_files_of_format_2_have_no_checksum_and_load(tensors, path):
    save_file(tensors, path, metadata={"autosam": json.dumps(asdict(replace(HEADER, format_version=2)))})
    loaded, header = load_model(path)
    assert same(loaded, tensors)
    assert header.settings == HEADER.settings


def test_a_newer_format_asks_for_an_upgrade(tensors, path):
    save_model(path, tensors=tensors, metadata=replace(HEADER, format_version=FORMAT_VERSION + 1))
    with pytest.raises(ModelError, match=r"model format 4, this autosam reads up to 3: upgrade autosam"):
        load_model(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "{",
        json.dumps({"format_version": "1"}),
        json.dumps({"format_version": 1}),
        json.dumps(
            {
                "format_version": 1,
                "settings": [],
                "base_name": "",
                "base_sha256": "",
                "training": {},
                "license": "",
            }
        ),
        json.dumps(
            {
                "format_version": 1,
                "settings": {},
                "base_name": "",
                "base_sha256": "",
                "training": {},
                "license": "",
                "x": 1,
            }
        ),
    ],
)
def test_a_damaged_header_is_refused(tensors, path, text):
    save_file(tensors, path, metadata={"autosam": text})
    with pytest.raises(ModelError, match="header that autosam cannot read"):
        load_model(path)


def test_parts_are_joined_and_split():
    parts = {"generator": {"a.b": torch.zeros(1)}, "decoder": {"a": torch.ones(1)}}
    joined = join_parts(parts | {"adapter": {}})
    assert set(joined) == {"generator.a.b", "decoder.a"}
    assert split_parts(joined) == parts
    assert split_parts({}) == join_parts({}) == {}
