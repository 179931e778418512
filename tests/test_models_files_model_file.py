"""A model file gives back the networks that were saved, and one that does not fit is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_models import (
    ENCODER_ONLY,
    GENERATOR_ALONE,
    SAM_ALONE,
    answers,
    disturb,
    lora,
    message,
    model_of,
    save,
    trainable,
    write_base,
)
from torch import Tensor

from autosam.config import ModelConfig
from autosam.errors import ModelError
from autosam.models.files.checkpoint import load_model, save_model
from autosam.models.files.file_hash import file_sha256
from autosam.models.files.model_file import load_networks, network_tensors
from autosam.models.files.zoo import resolve_model
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.networks import Networks, build_networks
from autosam.models.sam.lora import lora_layers
from autosam.models.statistics.novelty import NoveltyStatistics
from autosam.models.variants import build_sam


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize("half", [False, True])
def test_a_model_from_scratch_comes_back(tmp_path: Path, half: bool) -> None:
    model = model_of()
    networks = build_networks(model)
    disturb(networks)
    save(tmp_path / "m.safetensors", networks, model, half=half)
    loaded, header = load_networks(tmp_path / "m.safetensors")
    assert not loaded.sam.training
    assert not loaded.generator.training
    assert not trainable(loaded.sam)
    assert not trainable(loaded.generator)
    assert header.base_sha256 == ""
    for before, after in zip(answers(networks), answers(loaded), strict=True):
        if half:
            assert torch.allclose(before, after, atol=0.02 * float(before.abs().max()))
        else:
            assert torch.equal(before, after)


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("model.sam.prompt_encoder=full", "model.sam.lora_blocks=2"),
        ("model.sam.encoder=frozen",),
        ("model.sam.mask_decoder=frozen",),
        ("model.sam.encoder=adapter", "model.sam.adapter_ratio=0.1"),
        ("model.sam.image_size=128",),
    ],
    ids=["lora", "lora and prompts", "decoder only", "lora only", "bottleneck adapters", "another image size"],
)
def test_a_model_on_a_base_comes_back(base: Path, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    model = lora(base, *overrides)
    networks = build_networks(model)
    networks.sam.eval()  # while training, it would average its statistics over this image
    untrained = answers(networks)[1]
    disturb(networks)
    save(tmp_path / "m.safetensors", networks, model)
    loaded, _ = load_networks(tmp_path / "m.safetensors")
    assert not lora_layers(loaded.sam.image_encoder), "the adapter was not merged"
    before, after = answers(networks), answers(loaded)
    for one, other in zip(before, after, strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    assert not torch.allclose(untrained, after[1], atol=1e-2)
    tensors, _ = load_model(tmp_path / "m.safetensors")
    assert not any("image_encoder" in name for name in tensors)


def round_trip(path: Path, model: ModelConfig) -> tuple[Networks, set[str]]:
    """Build, change, save and load; give what was loaded and the names of the file's parts."""
    networks = build_networks(model)
    for network in networks.parts:
        network.eval()
    untrained = answers(networks)
    disturb(networks)
    save(path, networks, model)
    loaded, header = load_networks(path)
    assert (header.base_name, header.base_sha256) == (networks.base_name, networks.base_sha256)
    assert (loaded.base_name, loaded.base_sha256) == (networks.base_name, networks.base_sha256)
    assert (loaded.sam is None, loaded.generator is None) == (networks.sam is None, networks.generator is None)
    for network in loaded.parts:
        assert not network.training
        assert not trainable(network)
    after = answers(loaded)
    for one, other in zip(answers(networks), after, strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    assert not torch.allclose(untrained[0], after[0], atol=1e-2), "nothing was trained"
    return loaded, {name.partition(".")[0] for name in load_model(path)[0]}


def test_a_generator_alone_comes_back(tmp_path: Path) -> None:
    loaded, parts = round_trip(tmp_path / "m.safetensors", model_of(*GENERATOR_ALONE))
    assert loaded.sam is None
    assert parts == {"generator"}


@pytest.mark.parametrize("overrides", [(), GENERATOR_ALONE, ENCODER_ONLY], ids=["both", "alone", "SAM's encoder"])
def test_statistics_of_training_images_come_back_exactly(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    model = model_of(*overrides)
    networks = build_networks(model)
    save(tmp_path / "without.safetensors", networks, model, half=True)
    assert load_networks(tmp_path / "without.safetensors")[0].statistics is None
    known = replace(networks, statistics=statistics(networks.generator.deepest_channels))
    save(tmp_path / "with.safetensors", known, model, half=True)
    loaded = load_networks(tmp_path / "with.safetensors")[0].statistics
    assert loaded is not None
    assert all(
        torch.equal(loaded.state_dict()[name], value) for name, value in known.statistics.state_dict().items()
    )


def test_statistics_of_another_network_are_refused(tmp_path: Path) -> None:
    model, path = model_of(*GENERATOR_ALONE), tmp_path / "m.safetensors"
    save(path, replace(build_networks(model), statistics=statistics(7)), model)
    with pytest.raises(ModelError, match=r"statistics of training images .* do not fit a generator") as error:
        load_networks(path)
    assert str(path) in message(error)
    model = model_of(*SAM_ALONE)
    save(path, replace(build_networks(model), statistics=statistics(7)), model)
    with pytest.raises(ModelError, match="holds the parts sam, statistics; its settings want sam") as error:
        load_networks(path)
    message(error)


def statistics(channels: int) -> NoveltyStatistics:
    drawn = np.random.default_rng(0).random((4, 2 * channels)).astype(np.float32)
    numbers = {name: np.float32(0.5) for name in ("rest", "limit", "growth", "uncertain_rate", "uncertain_growth")}
    return NoveltyStatistics(means=drawn[:1], components=drawn[1:], variances=drawn[1:, 0] + 1, **numbers)


@pytest.mark.parametrize(
    ("encoder", "parts"),
    [
        ("frozen", {"decoder"}),
        ("lora", {"adapter", "decoder"}),
        ("adapter", {"adapter", "decoder"}),
        ("full", {"sam"}),
    ],
)
def test_a_sam_alone_comes_back(base: Path, tmp_path: Path, encoder: str, parts: set[str]) -> None:
    model = lora(base, *SAM_ALONE, f"model.sam.encoder={encoder}")
    loaded, there = round_trip(tmp_path / "m.safetensors", model)
    assert loaded.generator is None
    assert there == parts


@pytest.mark.parametrize(
    ("encoder", "parts"),
    [
        ("frozen", {"generator"}),
        ("lora", {"adapter", "generator"}),
        ("adapter", {"adapter", "generator"}),
        ("full", {"encoder", "generator"}),
    ],
)
def test_sams_encoder_as_generator_comes_back(base: Path, tmp_path: Path, encoder: str, parts: set[str]) -> None:
    model = model_of(f"model.sam.base={base}", f"model.sam.encoder={encoder}", *ENCODER_ONLY)
    loaded, there = round_trip(tmp_path / "m.safetensors", model)
    assert loaded.sam is None
    assert isinstance(loaded.generator, SamGenerator)
    assert loaded.generator.skips == (1, 3, 5)
    assert there == parts
    names = load_model(tmp_path / "m.safetensors")[0]
    assert not any(name.startswith("generator.image_encoder") for name in names)
    weights = loaded.generator.image_encoder.state_dict()
    before = torch.load(base, weights_only=True)
    same = [torch.equal(tensor, before.get(f"image_encoder.{name}", tensor)) for name, tensor in weights.items()]
    assert all(same) == (encoder in ("frozen", "adapter"))


def test_sams_encoder_from_scratch_comes_back(tmp_path: Path) -> None:
    model = model_of("model.sam.encoder=full", *ENCODER_ONLY, "model.generator.skips=[0, 4, 6]")
    loaded, parts = round_trip(tmp_path / "m.safetensors", model)
    assert isinstance(loaded.generator, SamGenerator)
    assert loaded.generator.skips == (0, 4, 6)
    assert parts == {"encoder", "generator"}


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("overrides", [(), SAM_ALONE], ids=["with a generator", "SAM alone"])
def test_another_model_with_a_whole_sam_is_a_base(tmp_path: Path, overrides: tuple[str, ...], half: bool) -> None:
    whole = model_of(*overrides)
    first = build_networks(whole, seed=4)
    own = tmp_path / "first.safetensors"
    save(own, first, whole, half=half)
    model = lora(own)
    networks = build_networks(model)
    assert (networks.base_name, networks.base_sha256) == (str(own), file_sha256(own))
    taken = networks.sam.state_dict()
    for name, tensor in first.sam.state_dict().items():
        assert taken[name].dtype == tensor.dtype
        assert torch.allclose(taken[name], tensor, atol=1e-2 if half else 0)
    if not overrides:
        before, after = first.generator.state_dict(), networks.generator.state_dict()
        assert any(not torch.equal(before[name], after[name]) for name in before), "only SAM is the base"
    _, parts = round_trip(tmp_path / "second.safetensors", model)
    assert parts == {"adapter", "decoder", "generator"}


@pytest.mark.slow
def test_a_bundled_model_is_a_base_by_its_name(tmp_path: Path) -> None:
    model = lora(Path("mito"), "model.sam.image_size=null")
    networks = build_networks(model)
    path = resolve_model("mito")
    assert (networks.base_name, networks.base_sha256) == ("mito", file_sha256(path))
    bundled, _ = load_networks(path)
    taken = networks.sam.state_dict()
    assert all(torch.equal(tensor, taken[name]) for name, tensor in bundled.sam.state_dict().items())
    disturb(networks)
    save(tmp_path / "m.safetensors", networks, model)
    loaded, header = load_networks(tmp_path / "m.safetensors")
    assert header.base_name == "mito"
    tuned = networks.sam.mask_decoder.state_dict()
    assert all(torch.equal(tensor, tuned[name]) for name, tensor in loaded.sam.mask_decoder.state_dict().items())
    # At another input size everything is taken over but the position codes, which are resampled.
    smaller = build_networks(lora(Path("mito"))).sam
    assert smaller is not None
    assert smaller.image_encoder.img_size == 64
    original = bundled.sam.state_dict()
    assert all(
        torch.equal(tensor, original[name])
        for name, tensor in smaller.state_dict().items()
        if name in original and not name.endswith(("pos_embed", "rel_pos_h", "rel_pos_w"))
    )


def test_a_base_may_lie_beside_the_model(base: Path, tmp_path: Path) -> None:
    own = tmp_path / "here" / "own.pth"
    own.parent.mkdir()
    own.write_bytes(base.read_bytes())
    model = model_of(f"model.sam.base={own}", "model.sam.encoder=frozen", *ENCODER_ONLY)
    save(tmp_path / "m.safetensors", build_networks(model), model)
    own.rename(tmp_path / "own.pth")
    load_networks(tmp_path / "m.safetensors")


def test_a_fully_trained_base_needs_no_base(base: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.pth"
    own.write_bytes(base.read_bytes())
    model = model_of(f"model.sam.base={own}")
    networks = build_networks(model)
    disturb(networks)
    save(tmp_path / "m.safetensors", networks, model)
    own.unlink()
    loaded, header = load_networks(tmp_path / "m.safetensors")
    assert torch.equal(answers(networks)[1], answers(loaded)[1])
    assert header.base_name == str(own)


def test_an_adapter_is_small(base: Path) -> None:
    model = lora(base, "model.sam.mask_decoder=frozen")
    networks = build_networks(model)
    tensors = network_tensors(networks, model)
    adapter = {name: tensor for name, tensor in tensors.items() if not name.startswith("generator.")}
    # rank 4, width 192, Q and V, 8 blocks: A is 8 × 192 and B 384 × 4
    assert sum(tensor.numel() for tensor in adapter.values()) == 8 * (8 * 192 + 384 * 4)
    assert all("lora_" in name for name in adapter)


@pytest.mark.parametrize("overrides", [(), SAM_ALONE, ENCODER_ONLY], ids=["both", "SAM alone", "encoder only"])
def test_another_base_is_refused_with_both_hashes(base: Path, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    own = tmp_path / "own.pth"
    own.write_bytes(base.read_bytes())
    model = lora(own, *overrides)
    save(tmp_path / "m.safetensors", build_networks(model), model)
    torch.save(build_sam("tiny", image_size=64).state_dict(), own)
    with pytest.raises(ModelError) as error:
        load_networks(tmp_path / "m.safetensors")
    assert file_sha256(base) in message(error)
    assert file_sha256(own) in message(error)
    own.unlink()
    with pytest.raises(ModelError, match=r"own\.pth are not at"):
        load_networks(tmp_path / "m.safetensors")


def test_files_whose_tensors_do_not_fit_their_settings(base: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    model = lora(base)
    networks = build_networks(model)
    save(path, networks, model)
    tensors, header = load_model(path)
    for part in ("generator", "adapter", "decoder"):
        rest = {name: tensor for name, tensor in tensors.items() if not name.startswith(part)}
        save_model(path, tensors=rest, metadata=header)
        with pytest.raises(ModelError, match="settings want adapter, decoder, generator") as error:
            load_networks(path)
        assert str(path) in message(error)
    name = next(name for name in tensors if name.startswith("decoder."))
    save_model(path, tensors={key: value for key, value in tensors.items() if key != name}, metadata=header)
    with pytest.raises(ModelError, match="the tensors of 'decoder' do not fit") as error:
        load_networks(path)
    message(error)
    save_file(tensors, path)
    with pytest.raises(ModelError, match="no autosam header"):
        load_networks(path)


def test_parts_of_sams_encoder_as_generator_that_do_not_fit(base: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    model = lora(base, *ENCODER_ONLY)
    save(path, build_networks(model), model)
    tensors, header = load_model(path)

    def fault(kept: dict[str, Tensor]) -> str:
        save_model(path, tensors=kept, metadata=header)
        with pytest.raises(ModelError) as error:
            load_networks(path)
        assert str(path) in message(error)
        return message(error)

    for part in ("generator", "adapter"):
        rest = {name: tensor for name, tensor in tensors.items() if not name.startswith(part)}
        assert "settings want adapter, generator" in fault(rest)
        first = next(name for name in tensors if name.startswith(part))
        assert "missing" in fault({name: tensor for name, tensor in tensors.items() if name != first})
    assert "settings want adapter, generator" in fault(tensors | {"sam.extra": torch.zeros(1)})
    head = "generator.decoder.head.weight"
    assert "decoder.head.weight is (3, 8, 3, 3)" in fault(tensors | {head: tensors[head][:3].clone()})
    assert "weights that are not numbers" in fault(tensors | {head: torch.full_like(tensors[head], torch.nan)})


def test_a_model_from_other_settings_than_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    model = model_of(*SAM_ALONE)
    save(path, build_networks(model), model)
    tensors, header = load_model(path)
    other = replace(header, settings={"model": model_of().model_dump(mode="json")})
    save_model(path, tensors=tensors, metadata=other)
    with pytest.raises(ModelError, match="holds the parts sam; its settings want generator, sam"):
        load_networks(path)
    later = replace(header, settings={"model": {"sam": {"encoder": "quantized"}}})
    save_model(path, tensors=tensors, metadata=later)
    with pytest.raises(ModelError, match=r"settings that autosam does not know .* upgrade autosam") as error:
        load_networks(path)
    message(error)
