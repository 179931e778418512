"""The two networks: what trains and what stays, and a model file that gives back what was saved."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from blobs import small_config
from safetensors.torch import save_file
from segment_anything.modeling import Sam
from torch import Tensor, nn

from autosam.config import ModelConfig
from autosam.errors import ModelError
from autosam.models.files.checkpoint import ModelHeader, load_model, save_model
from autosam.models.files.sam_weights import file_sha256
from autosam.models.files.zoo import resolve_model
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.generator.unet import Generator
from autosam.models.networks import Networks, build_networks, load_networks, network_tensors
from autosam.models.sam.lora import lora_layers
from autosam.models.sam.variants import build_sam
from autosam.models.statistics.novelty import NoveltyStatistics, fit_statistics


def message(error: pytest.ExceptionInfo[ModelError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a 64-pixel tiny SAM, as others publish theirs."""
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("base") / "tiny.pth"
    torch.save(build_sam("tiny", image_size=64).state_dict(), path)
    return path


def model_of(*overrides: str) -> ModelConfig:
    return small_config(*overrides).model


def lora(base: Path, *overrides: str) -> ModelConfig:
    return model_of(
        f"model.sam.base={base}", "model.sam.encoder=lora", "model.sam.prompt_encoder=frozen", *overrides
    )


def disturb(networks: Networks) -> None:
    """Stand in for training: change everything that is trainable, and the running statistics with it."""
    torch.manual_seed(3)
    with torch.no_grad():
        for network in networks.parts:
            for parameter in network.parameters():
                if parameter.requires_grad:
                    parameter += 0.05 * torch.randn_like(parameter)
        if networks.generator is not None:
            networks.generator.train()
            for layer in networks.generator.modules():
                # As training does: a frozen part keeps its statistics.
                if isinstance(layer, nn.BatchNorm2d) and not layer.weight.requires_grad:
                    layer.eval()
            networks.generator(torch.rand(2, 3, 64, 64))
    for network in networks.parts:
        network.eval()


def save(path: Path, networks: Networks, model: ModelConfig, *, half: bool = False) -> None:
    header = ModelHeader(
        settings={"model": model.model_dump(mode="json")},
        base_name=networks.base_name,
        base_sha256=networks.base_sha256,
    )
    save_model(path, tensors=network_tensors(networks, model), metadata=header, half=half)


@torch.no_grad()
def answers(networks: Networks) -> list[Tensor]:
    """Maps, low-resolution mask logits and predicted IoU for one image and one point, as far as there are any."""
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    maps = [] if networks.generator is None else [networks.generator(image)]
    sam: Sam | None = networks.sam
    if sam is None:
        return maps
    features = sam.image_encoder(sam.preprocess(image * 255))
    point = torch.tensor([[[20.0, 30.0]]]), torch.ones(1, 1, dtype=torch.int32)
    sparse, dense = sam.prompt_encoder(points=point, boxes=None, masks=None)
    masks, iou = sam.mask_decoder(
        image_embeddings=features,
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=False,
    )
    return [*maps, masks, iou]


def trainable(module: nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


# Building


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
    with pytest.raises(ModelError, match="these are weights of another architecture") as error:
        build_networks(lora(tmp_path / "other.pth"))
    assert str(tmp_path / "other.pth") in message(error)


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(ModelError, match="no generator can be built on encoder 'resnet17'") as error:
        build_networks(model_of("model.generator.encoder=resnet17"))
    message(error)


# Saving and loading


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


GENERATOR_ALONE = ("model.sam=null", "decode.sam=false")
SAM_ALONE = ("model.generator=null", "prompts.method=user")
ENCODER_ONLY = (
    "model.sam.prompt_encoder=none",
    "model.sam.mask_decoder=none",
    "model.generator.encoder=sam",
    "model.generator.depth=4",
    "model.generator.decoder_channels=[16, 8, 8, 8]",
    "model.generator.channels=[foreground, boundary, affinity_row, affinity_col]",
    "decode.sam=false",
)


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
    tiles = torch.rand(40, 2 * channels, generator=torch.Generator().manual_seed(0)).numpy()
    statistics = fit_statistics([tiles])
    assert statistics is not None
    return statistics


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
    assert "decoder.head.weight has shape (3, 8, 3, 3)" in fault(tensors | {head: tensors[head][:3].clone()})
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
