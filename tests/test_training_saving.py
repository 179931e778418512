"""What of a run is kept: the average, in half precision, with the settings that it is used with."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from blobs import small_config, write_base
from torch.optim.swa_utils import AveragedModel

from autosam.config import Config
from autosam.data import LabeledImage
from autosam.errors import OutputError
from autosam.models.files.checkpoint import load_model
from autosam.models.files.model_file import load_networks
from autosam.models.networks import Networks, build_networks
from autosam.training.joint import JointModel
from autosam.training.run.saving import averaged_networks, save_trained
from autosam.training.samples.tiles import median_diameter

Saved = tuple[Config, Networks, AveragedModel]


@pytest.fixture
def make() -> Callable[..., Saved]:
    def made(*overrides: str) -> Saved:
        config = small_config(*overrides)
        networks = build_networks(config.model)
        model = JointModel(networks, prompts=config.prompts, training=config.training)
        averaged = AveragedModel(model)
        with torch.no_grad():
            for parameter in averaged.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.125)
        return config, networks, averaged

    return made


def test_the_average_is_what_is_used(make: Callable[..., Saved]) -> None:
    _, networks, averaged = make()
    used = averaged_networks(averaged, networks)
    assert used.generator is averaged.module.generator
    assert used.sam is averaged.module.sam
    assert not any(layer.training for part in used.parts for layer in part.modules())
    # What is being trained is left alone.
    assert networks.generator.training
    assert networks.sam is not used.sam


def test_a_model_file_has_the_averaged_weights_and_a_header(make: Callable[..., Saved], tmp_path: Path) -> None:
    config, networks, averaged = make("seed=4", "training.steps=12", "training.batch_size=3")
    path = tmp_path / "model.safetensors"
    save_trained(
        path,
        averaged_networks(averaged, networks),
        config,
        {"step": 7, "mean_ap": 0.25},
        license="CC0",
        diameter=9.5,
    )
    loaded, header = load_networks(path)
    assert header.training == {
        "step": 7,
        "mean_ap": 0.25,
        "steps": 12,
        "batch_size": 3,
        "seed": 4,
        "trained_parameters": sum(p.numel() for part in networks.parts for p in part.parameters()),
        "sources": ["data"],
    }
    assert (header.license, header.base_name, header.base_sha256) == ("CC0", "", "")
    assert set(header.settings) == {"images", "model", "tiles", "prompts", "decode", "merge"}
    assert header.settings["images"]["diameter"] == 9.5
    name = "mask_decoder.iou_token.weight"
    wanted = networks.sam.state_dict()[name] + 0.125
    assert torch.allclose(loaded.sam.state_dict()[name], wanted, rtol=1e-3, atol=1e-3)
    tensors = sum(tensor.nbytes for tensor in averaged.module.state_dict().values())
    assert path.stat().st_size < 0.6 * tensors


def test_a_frozen_base_is_named_and_not_held(make: Callable[..., Saved], tmp_path: Path) -> None:
    base = write_base(tmp_path / "base.safetensors")
    config, networks, averaged = make(
        f"model.sam.base={base}",
        "model.sam.encoder=frozen",
        "model.sam.prompt_encoder=frozen",
        "model.generator=null",
        "prompts.method=user",
    )
    path = tmp_path / "model.safetensors"
    save_trained(path, averaged_networks(averaged, networks), config, {}, license="", diameter=9.5)
    tensors, header = load_model(path)
    assert {name.partition(".")[0] for name in tensors} == {"decoder"}
    assert header.training["trained_parameters"] == sum(tensor.numel() for tensor in tensors.values())
    assert header.base_name == str(base)
    assert header.base_sha256 == networks.base_sha256 != ""


def test_the_diameter_of_the_settings_counts_before_the_measured_one(
    make: Callable[..., Saved], tmp_path: Path
) -> None:
    config, networks, averaged = make("images.diameter=20")
    path = tmp_path / "model.safetensors"
    save_trained(path, averaged_networks(averaged, networks), config, {}, license="", diameter=9.5)
    assert load_model(path)[1].settings["images"]["diameter"] == 20


def test_the_diameter_is_that_of_the_median_object() -> None:
    labels = np.zeros((40, 40), np.int32)
    labels[0, 0], labels[2:12, 2:12], labels[20:40, 20:40] = 1, 2, 5
    empty = LabeledImage("s/b", "s", np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.int32))
    labeled_images = [LabeledImage("s/a", "s", np.zeros((40, 40, 3), np.uint8), labels), empty]
    assert median_diameter(labeled_images) == pytest.approx(2 * np.sqrt(100 / np.pi), abs=0.01)


def test_a_folder_that_is_gone(make: Callable[..., Saved], tmp_path: Path) -> None:
    config, networks, averaged = make()
    with pytest.raises(OutputError):
        save_trained(
            tmp_path / "gone" / "model.safetensors",
            averaged_networks(averaged, networks),
            config,
            {},
            license="",
            diameter=9.5,
        )
