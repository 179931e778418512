"""Networks as their settings want them: what trains, on which base, and which generator starts."""

import re
from pathlib import Path

import pytest
import torch
from small_models import ENCODER_ONLY, GENERATOR_ALONE, lora, message, model_of, save, trainable, write_base

from autosam.errors import ModelError
from autosam.models.files.checkpoint import ModelHeader, save_model
from autosam.models.files.file_hash import file_sha256
from autosam.models.files.model_file import load_networks, network_tensors
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.generator.unet import Generator
from autosam.models.networks import build_networks
from autosam.models.sam.lora import lora_layers


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"))


def test_from_scratch_everything_trains() -> None:
    networks = build_networks(model_of())
    assert trainable(networks.sam) == {name for name, _ in networks.sam.named_parameters()}
    assert trainable(networks.generator) == {name for name, _ in networks.generator.named_parameters()}
    assert networks.sam.training
    assert networks.generator.training
    assert (networks.base_name, networks.base_sha256) == ("", "")


def test_weights_follow_from_the_seed_alone() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one = build_networks(model_of(), seed=5)
    assert torch.equal(torch.get_rng_state(), state), "torch's own generator was moved"
    torch.rand(3)
    other, third = build_networks(model_of(), seed=5), build_networks(model_of(), seed=6)
    for part in ("sam", "generator"):
        weights = [getattr(networks, part).state_dict() for networks in (one, other, third)]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
        assert any(not torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


def test_on_a_base_only_adapter_and_decoder_train(base: Path) -> None:
    networks = build_networks(lora(base, "model.sam.lora_blocks=3"))
    sam = networks.sam
    assert trainable(sam.image_encoder) == {
        f"blocks.{block}.attn.qkv.{part}" for block in (5, 6, 7) for part in ("lora_A", "lora_B")
    }
    assert trainable(sam.prompt_encoder) == set()
    assert trainable(sam.mask_decoder) == {name for name, _ in sam.mask_decoder.named_parameters()}
    assert trainable(networks.generator)
    weights = torch.load(base, weights_only=True)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in sam.state_dict().items() if name in weights)
    assert weights.keys() <= sam.state_dict().keys()
    assert (networks.base_name, networks.base_sha256) == (str(base), file_sha256(base))


def test_frozen_and_full_parts_of_a_base(base: Path) -> None:
    frozen = build_networks(lora(base, "model.sam.encoder=frozen", "model.sam.mask_decoder=frozen")).sam
    assert trainable(frozen) == set()
    assert not lora_layers(frozen.image_encoder)
    full = build_networks(model_of(f"model.sam.base={base}")).sam
    assert trainable(full) == {name for name, _ in full.named_parameters()}


@pytest.mark.parametrize(
    ("override", "names"),
    [
        ("model.sam.encoder=lora", ["encoder"]),
        ("model.sam.encoder=frozen", ["encoder"]),
        ("model.sam.prompt_encoder=frozen", ["prompt_encoder"]),
        ("model.sam.mask_decoder=frozen", ["mask_decoder"]),
    ],
)
def test_random_weights_are_never_frozen(override: str, names: list[str]) -> None:
    with pytest.raises(ModelError, match=r"model\.sam\.base is null .* name a base, such as vit_b") as error:
        build_networks(model_of(override))
    assert [f"model.sam.{name}=full" for name in names] == re.findall(r"[\w.]+=full", message(error))


def test_a_base_that_is_missing_or_does_not_fit(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOSAM_HOME", str(tmp_path))
    with pytest.raises(ModelError, match=r"base weights .*gone\.pth are not at .*gone\.pth") as error:
        build_networks(model_of(f"model.sam.base={tmp_path / 'gone.pth'}"))
    message(error)
    with pytest.raises(
        ModelError, match=r"the weights of vit_b are not on this machine .*autosam models fetch vit_b"
    ):
        build_networks(model_of("model.sam.base=vit_b"))
    state = torch.load(base, weights_only=True)
    torch.save(state | {"mask_decoder.iou_token.weight": torch.zeros(2, 128)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="give weights of this architecture") as error:
        build_networks(lora(tmp_path / "other.pth"))
    assert str(tmp_path / "other.pth") in message(error)


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(ModelError, match="no generator can be built on encoder 'resnet17'") as error:
        build_networks(model_of("model.generator.encoder=resnet17"))
    message(error)


def test_what_trains_where_sams_encoder_is_the_generator(base: Path) -> None:
    frozen = build_networks(
        model_of(f"model.sam.base={base}", "model.sam.encoder=frozen", *ENCODER_ONLY)
    ).generator
    assert isinstance(frozen, SamGenerator)
    assert trainable(frozen.image_encoder) == set()
    assert trainable(frozen.decoder) == {name for name, _ in frozen.decoder.named_parameters()}
    with pytest.raises(ModelError, match="random weights cannot stay frozen") as error:
        build_networks(model_of("model.sam.encoder=lora", *ENCODER_ONLY))
    assert re.findall(r"[\w.]+=full", message(error)) == ["model.sam.encoder=full"]


@pytest.mark.parametrize(
    ("overrides", "held"),
    [
        (GENERATOR_ALONE, "generator"),
        (ENCODER_ONLY, "encoder, generator"),
        (None, "adapter, decoder, generator"),
    ],
    ids=["generator alone", "encoder only", "adapter"],
)
def test_a_model_without_a_whole_sam_is_no_base(
    base: Path, tmp_path: Path, overrides: tuple[str, ...] | None, held: str
) -> None:
    own = tmp_path / "own.safetensors"
    model = lora(base) if overrides is None else model_of(*overrides)
    save(own, build_networks(model), model)
    with pytest.raises(
        ModelError, match=rf"without a whole SAM in it \({held}\), so it cannot be a base"
    ) as error:
        build_networks(lora(own))
    assert str(own) in message(error)


# A generator to start from


def test_a_generator_starts_from_another_models(tmp_path: Path) -> None:
    model = model_of()
    path = tmp_path / "m.safetensors"
    there = build_networks(model, seed=3)
    header = ModelHeader(settings={"model": model.model_dump(mode="json")})
    save_model(path, tensors=network_tensors(there, model), metadata=header)
    new = build_networks(model_of(f"model.generator.base={path}"), seed=4)
    assert new.generator is not None
    assert there.generator is not None
    wanted = there.generator.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in new.generator.state_dict().items())
    fresh = build_networks(model, seed=4)
    assert new.sam is not None
    assert fresh.sam is not None
    # SAM starts as it would without.
    mine = new.sam.state_dict()
    assert all(torch.equal(value, mine[name]) for name, value in fresh.sam.state_dict().items())


def test_a_generator_starts_from_one_with_other_maps(tmp_path: Path) -> None:
    model = model_of("model.generator.channels=[foreground, boundary]")
    path = tmp_path / "m.safetensors"
    there = build_networks(model, seed=3)
    header = ModelHeader(settings={"model": model.model_dump(mode="json")})
    save_model(path, tensors=network_tensors(there, model), metadata=header)
    other = "model.generator.channels=[center, boundary, foreground]"
    new = build_networks(model_of(other, f"model.generator.base={path}"), seed=4)
    fresh = build_networks(model_of(other), seed=4)
    assert new.generator is not None
    assert there.generator is not None
    assert fresh.generator is not None
    mine, theirs, random = (part.state_dict() for part in (new.generator, there.generator, fresh.generator))
    for name, value in mine.items():
        if "segmentation_head" in name:
            assert torch.equal(value[1:], theirs[name].flip(0))
            assert torch.equal(value[0], random[name][0])
        else:
            assert torch.equal(value, theirs[name])


def test_a_generator_starts_and_comes_back_downsampled(tmp_path: Path) -> None:
    model, path = model_of(), tmp_path / "m.safetensors"
    there = build_networks(model, seed=3)
    save(path, there, model)
    smaller = model_of("model.generator.downsample=2", f"model.generator.base={path}")
    new = build_networks(smaller, seed=4)
    save(tmp_path / "new.safetensors", new, smaller)
    loaded, header = load_networks(tmp_path / "new.safetensors")
    assert header.settings["model"]["generator"]["downsample"] == 2
    assert isinstance(there.generator, Generator)
    assert isinstance(loaded.generator, Generator)
    assert loaded.generator.downsample == 2
    image = torch.rand(1, 3, 32, 32).repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)
    there.generator.eval()
    with torch.no_grad():
        coarse = there.generator(image[..., ::2, ::2])
        found = loaded.generator(image)
    torch.testing.assert_close(found, torch.nn.functional.interpolate(coarse, scale_factor=2, mode="bilinear"))


def test_a_generator_of_another_shape_is_no_start(tmp_path: Path) -> None:
    model = model_of("model.generator.decoder_channels=[8, 8, 8]")
    path = tmp_path / "m.safetensors"
    header = ModelHeader(settings={"model": model.model_dump(mode="json")})
    save_model(path, tensors=network_tensors(build_networks(model), model), metadata=header)
    with pytest.raises(ModelError, match="cannot be started from: it is tu-resnet10t"):
        build_networks(model_of(f"model.generator.base={path}"))
