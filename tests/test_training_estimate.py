"""What a run is said to need, before it is started."""

from pathlib import Path

import pytest
import torch
from blobs import labeled_image, small_config, write_base

from autosam.config import Config
from autosam.errors import ConfigError, InputError
from autosam.models.networks import build_networks
from autosam.training.joint import JointModel
from autosam.training.optimizer import part_table
from autosam.training.run import estimate as module
from autosam.training.run.estimate import Estimate, estimate


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base") / "base.safetensors")


def lora(base: Path, *overrides: str) -> Config:
    return small_config(
        f"model.sam.base={base}", "model.sam.encoder=lora", "model.sam.prompt_encoder=frozen", *overrides
    )


def of(config: Config) -> Estimate:
    return estimate(config, [labeled_image(0)], device=torch.device("cpu"))


@pytest.fixture(scope="module")
def known(base: Path) -> Estimate:
    return of(lora(base))


def test_parameters_are_those_of_the_networks(base: Path, known: Estimate) -> None:
    config = lora(base)
    networks = build_networks(config.model)
    model = JointModel(networks, prompts=config.prompts, training=config.training)
    assert known.parts == part_table(model)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert sum(part.total for part in known.parts) == parameters
    # Buffers (running statistics) come on top, a few thousand of them.
    assert 4 * parameters < known.weights < 4 * parameters + 100_000


def test_memory_in_bytes(known: Estimate) -> None:
    trained = sum(part.trainable for part in known.parts)
    assert 0 < trained < sum(part.total for part in known.parts)
    assert known.gradients == 4 * trained
    assert known.optimizer == 8 * trained
    assert known.average == known.weights
    assert known.activations > 2 * 64 * 64 * 3 * 4
    assert known.total == known.weights * 2 + known.gradients + known.optimizer + known.activations


def test_activations_grow_with_the_batch_and_nothing_else_does(base: Path, known: Estimate) -> None:
    larger = of(lora(base, "training.batch_size=6"))
    middle = of(lora(base, "training.batch_size=4"))
    # Each tile more costs the same; what is kept once for the batch is not counted again.
    assert larger.activations - known.activations == 2 * (middle.activations - known.activations) > 0
    assert larger.activations < 3 * known.activations
    assert (larger.weights, larger.gradients, larger.optimizer) == (
        known.weights,
        known.gradients,
        known.optimizer,
    )
    # Batches that are added up one after the other need no more memory.
    assert of(lora(base, "training.accumulate=4")).activations == known.activations


def test_checkpointed_blocks_keep_less(base: Path, known: Estimate) -> None:
    checkpointed = of(lora(base, "training.checkpoint_blocks=true"))
    assert 0 < checkpointed.activations < known.activations
    assert checkpointed.weights == known.weights


def test_the_device_decides_on_the_precision(base: Path, known: Estimate, monkeypatch: pytest.MonkeyPatch) -> None:
    # A machine whose GPU multiplies bfloat16 and whose CPU does not.
    def use_bfloat16(device: torch.device, precision: str) -> bool:
        return device.type == "cuda" if precision == "auto" else precision == "bfloat16"

    monkeypatch.setattr(module, "use_bfloat16", use_bfloat16)
    auto, half = lora(base, "training.precision=auto"), lora(base, "training.precision=float16")
    assert estimate(auto, [labeled_image(0)], device=torch.device("cpu")) == known
    on_gpu, in_float16 = (
        estimate(config, [labeled_image(0)], device=torch.device("cuda")) for config in (auto, half)
    )
    assert on_gpu.activations != known.activations
    assert on_gpu == in_float16
    # The weights themselves stay in float32.
    assert on_gpu.weights == known.weights


def test_networks_alone() -> None:
    generator = of(small_config("model.sam=null", "decode.sam=false", "model.generator.depth=3"))
    assert [part.part for part in generator.parts] == ["generator"]
    sam = of(small_config("model.generator=null", "prompts.method=user"))
    assert [part.part for part in sam.parts] == ["image_encoder", "prompt_encoder", "mask_decoder"]
    assert generator.activations > 0
    assert sam.activations > 0


def test_what_cannot_be_trained_is_refused_as_by_a_run() -> None:
    with pytest.raises(ConfigError, match=r"prompts\.method=grid asks no generator"):
        of(small_config("prompts.method=grid"))
    with pytest.raises(InputError, match="none of the 0 training images has an object"):
        estimate(small_config(), [], device=torch.device("cpu"))
