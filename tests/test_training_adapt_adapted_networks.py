"""Networks that are adapted: what is trainable, what their file holds, and the average with the old weights."""

from pathlib import Path

import pytest
import torch
from small_models import answers, disturb, lora, model_of, save, trainable, write_base, write_model

from autosam.models.files.checkpoint import ModelHeader, load_model, save_model
from autosam.models.files.model_file import load_networks, network_tensors
from autosam.models.networks import Networks, build_networks
from autosam.models.parameters import adapter_state_dict
from autosam.models.sam.lora import add_lora
from autosam.models.variants import build_sam
from autosam.training.adapt.adapted_networks import Trainee, file_networks, make_trainee, mixed


def written(trainee: Trainee, path: Path, networks: Networks) -> Path:
    header = ModelHeader(
        {"model": trainee.model.model_dump(mode="json")}, networks.base_name, networks.base_sha256
    )
    save_model(path, tensors=network_tensors(networks, trainee.model), metadata=header)
    return path


def test_a_model_that_holds_its_sam_stays_such(tmp_path: Path) -> None:
    old = write_model(tmp_path / "old.safetensors")
    trainee = make_trainee(old, "all", seed=0)
    assert trainee.networks.sam is not None
    names = trainable(trainee.networks.sam)
    assert {name.split(".")[0] for name in names} == {"image_encoder", "mask_decoder"}
    assert all(name.endswith(("lora_A", "lora_B")) for name in names if name.startswith("image_encoder"))
    assert trainable(trainee.networks.generator)

    start = trainee.state()
    disturb(trainee.networks)
    new = trainee.state()
    path = written(trainee, tmp_path / "new.safetensors", file_networks(trainee, new))
    networks, header = load_networks(path)
    assert header.base_name == ""
    assert header.settings["model"]["sam"]["encoder"] == "full"
    evaluated = trainee.evaluated(new, torch.device("cpu"))
    for one, other in zip(answers(networks), answers(evaluated), strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    # half of the way, and none of it
    for share, equal in ((0.0, True), (0.5, False)):
        half = answers(trainee.evaluated(mixed(start, new, share), torch.device("cpu")))
        before = answers(load_networks(old)[0])
        assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(half, before, strict=True)) == equal


def test_the_average_lies_between(tmp_path: Path) -> None:
    old = {"generator": {"a": torch.tensor([0.0, 2.0]), "n": torch.tensor(3)}}
    new = {"generator": {"a": torch.tensor([4.0, 2.0]), "n": torch.tensor(5)}}
    found = mixed(old, new, 0.25)["generator"]
    assert found["a"].tolist() == [1, 2]
    assert int(found["n"]) == 5


def test_a_generator_alone_leaves_sam_out(tmp_path: Path) -> None:
    trainee = make_trainee(write_model(tmp_path / "old.safetensors"), "generator", seed=0)
    assert trainee.networks.sam is None
    assert trainee.whole.sam is not None
    assert not trainable(trainee.whole.sam)
    disturb(trainee.networks)
    networks = file_networks(trainee, trainee.state())
    path = written(trainee, tmp_path / "new.safetensors", networks)
    before, after = (answers(load_networks(one)[0]) for one in (tmp_path / "old.safetensors", path))
    assert not torch.allclose(before[0], after[0])
    assert torch.allclose(before[1], after[1], atol=1e-4)


@pytest.mark.parametrize("decoder", ["frozen", "full"])
def test_on_published_weights_the_file_holds_lora_beside_them(tmp_path: Path, decoder: str) -> None:
    model = lora(
        write_base(tmp_path), "model.generator=null", "prompts.method=user", f"model.sam.mask_decoder={decoder}"
    )
    networks = build_networks(model)
    disturb(networks)
    save(tmp_path / "old.safetensors", networks, model)
    trainee = make_trainee(tmp_path / "old.safetensors", "lora", seed=0)
    assert trainee.networks.sam is not None
    assert all("lora" in name for name in trainable(trainee.networks.sam))
    disturb(trainee.networks)
    path = written(trainee, tmp_path / "new.safetensors", file_networks(trainee, trainee.state()))
    parts = {name.partition(".")[0] for name in load_model(path)[0]}
    assert parts == ({"adapter"} if decoder == "frozen" else {"adapter", "decoder"})
    before, after = (answers(load_networks(one)[0]) for one in (tmp_path / "old.safetensors", path))
    assert not torch.allclose(before[0], after[0])


def test_a_decoder_that_was_frozen_is_in_the_file_once_it_is_trained(tmp_path: Path) -> None:
    model = model_of(
        f"model.sam.base={write_base(tmp_path)}",
        "model.generator=null",
        "prompts.method=user",
        "model.sam.encoder=frozen",
        "model.sam.prompt_encoder=frozen",
        "model.sam.mask_decoder=frozen",
    )
    # Nothing of it is trained, so its file needs a part of something.
    networks = build_networks(model.model_copy(update={"sam": model.sam.model_copy(update={"encoder": "lora"})}))  # type: ignore[union-attr]
    save(
        tmp_path / "old.safetensors",
        networks,
        model.model_copy(update={"sam": model.sam.model_copy(update={"encoder": "lora"})}),  # type: ignore[union-attr]
    )
    trainee = make_trainee(tmp_path / "old.safetensors", "sam", seed=0)
    assert trainee.model.sam is not None
    assert trainee.model.sam.mask_decoder == "full"
    disturb(trainee.networks)
    path = written(trainee, tmp_path / "new.safetensors", file_networks(trainee, trainee.state()))
    assert {name.partition(".")[0] for name in load_model(path)[0]} == {"adapter", "decoder"}
    load_networks(path)


@pytest.mark.parametrize("variant", ["vit_b", "vit_l"])
def test_lora_alone_is_below_a_megabyte(tmp_path: Path, variant: str) -> None:
    with torch.device("meta"):
        encoder = build_sam(variant).image_encoder
        add_lora(encoder, rank=4, alpha=4.0)
    state = {f"adapter.{name}": torch.ones(tensor.shape) for name, tensor in adapter_state_dict(encoder).items()}
    path = tmp_path / "lora.safetensors"
    save_model(path, tensors=state, metadata=ModelHeader({}, variant, "0" * 64), half=True)
    assert 1e5 < path.stat().st_size < 1e6
