"""Every recipe of configs/ as it is shipped: what it trains, what it leaves alone, and that its model segments."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from blobs import labeled_image, write_base
from torch import Tensor
from with_defaults import make_prompts

from autosam.config import Config, load_config
from autosam.data import LabeledImage
from autosam.errors import ModelError
from autosam.models.files.checkpoint import load_model
from autosam.models.files.file_hash import file_sha256
from autosam.models.files.model_file import load_networks
from autosam.models.networks import build_networks
from autosam.models.parameters import part_of
from autosam.pipeline.segmenter import Segmenter
from autosam.prompts import Prompt
from autosam.training.joint import JointModel
from autosam.training.loop import train
from autosam.training.losses.batch_loss import BatchLoss
from autosam.training.run.run_folder import CHECKPOINT
from autosam.training.samples import batches

pytestmark = pytest.mark.usefixtures("few_windows")

RECIPES = ("sac", "adapter", "decoder", "medsam", "em_sam", "generator", "joint")
SCENES, VALIDATION = [labeled_image(0), labeled_image(1)], [labeled_image(2)]
SMALL_GENERATOR = (
    "model.generator.encoder=tu-resnet10t",
    "model.generator.depth=3",
    "model.generator.decoder_channels=[16, 8, 8]",
)
QUICK = (
    "training.steps=2",
    "training.batch_size=2",
    "training.prompts_per_tile=4",
    "training.workers=0",
    "training.validate_every=2",
    "training.previews=0",
    "training.threshold_images=0",
    "training.precision=float32",
    "decode.precision=float32",
)


@dataclass(frozen=True)
class Run:
    """A short run of a recipe."""

    config: Config
    folder: Path
    model: Path

    def changed(self) -> dict[str, set[bool]]:
        """Tell of each part whether its tensors, statistics included, are other ones than before the run."""
        networks = build_networks(self.config.model, seed=self.config.seed)
        before = JointModel(networks, prompts=self.config.prompts, training=self.config.training).state_dict()
        after: dict[str, Tensor] = torch.load(self.folder / CHECKPOINT, weights_only=True)["model"]
        assert before.keys() == after.keys()
        found: dict[str, set[bool]] = {}
        for name, tensor in before.items():
            network, _, rest = name.partition(".")
            inside = network == "sam" or rest.startswith(("image_encoder.", "decoder."))
            part = part_of(rest) if inside else network
            found.setdefault(part, set()).add(not torch.equal(tensor, after[name]))
        # SAM's own mean and deviation of pixels
        found.pop("(own)", None)
        return found

    def parts(self) -> set[str]:
        """Name the parts of the model file."""
        return {name.partition(".")[0] for name in load_model(self.model)[0]}


Make = Callable[..., Run]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base") / "base.safetensors")


@pytest.fixture(scope="module")
def make(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """Train a recipe for two steps, once for the same settings."""
    done: dict[tuple[str, ...], Run] = {}

    def made(recipe: str, *overrides: str) -> Run:
        key = (recipe, *overrides)
        if key not in done:
            chosen = [*QUICK, *overrides]
            plain = load_config(recipe).model
            if plain.sam is not None:
                chosen += [f"model.sam.base={base}", "model.sam.image_size=64"]
            if plain.generator is not None and plain.generator.encoder != "sam":
                chosen += SMALL_GENERATOR
            config = load_config(recipe, overrides=chosen)
            folder = tmp_path_factory.mktemp(recipe) / "run"
            done[key] = Run(config, folder, train(config, SCENES, VALIDATION, out=folder))
        return done[key]

    with pytest.MonkeyPatch.context() as patch:
        # Without a SAM tiles are 512 pixels wide.
        patch.setattr(batches, "WITHOUT_SAM", 64)
        yield made


ENCODER, LORA, ADAPTER = "image_encoder", "image_encoder (LoRA)", "image_encoder (adapter)"
PROMPTS, DECODER, GENERATOR = "prompt_encoder", "mask_decoder", "generator"

TRAINED = {
    ("sac",): {LORA, DECODER, GENERATOR},
    ("sac", "model.sam.encoder=adapter"): {ADAPTER, DECODER, GENERATOR},
    ("sac", "model.sam.encoder=frozen"): {DECODER, GENERATOR},
    ("sac", "model.sam.encoder=full"): {ENCODER, DECODER, GENERATOR},
    ("adapter",): {ADAPTER, DECODER, GENERATOR},
    ("decoder",): {DECODER},
    ("medsam",): {ENCODER, DECODER},
    ("em_sam",): {ENCODER, "decoder"},
    ("em_sam", "model.sam.encoder=lora"): {LORA, "decoder"},
    ("generator",): {GENERATOR},
    ("joint",): {LORA, DECODER, GENERATOR},
}
"""What of each recipe is trained; ``decoder`` is that of the generator on SAM's encoder."""

FROZEN = {
    ("sac",): {ENCODER, PROMPTS},
    ("sac", "model.sam.encoder=adapter"): {ENCODER, PROMPTS},
    ("sac", "model.sam.encoder=frozen"): {ENCODER, PROMPTS},
    ("sac", "model.sam.encoder=full"): {PROMPTS},
    ("adapter",): {ENCODER, PROMPTS},
    ("decoder",): {ENCODER, PROMPTS},
    ("medsam",): {PROMPTS},
    ("em_sam",): set(),
    ("em_sam", "model.sam.encoder=lora"): {ENCODER},
    ("generator",): set(),
    ("joint",): {ENCODER, PROMPTS},
}

FILES = {
    ("sac",): {"adapter", "decoder", "generator"},
    ("sac", "model.sam.encoder=adapter"): {"adapter", "decoder", "generator"},
    ("sac", "model.sam.encoder=frozen"): {"decoder", "generator"},
    ("sac", "model.sam.encoder=full"): {"sam", "generator"},
    ("adapter",): {"adapter", "decoder", "generator"},
    ("decoder",): {"decoder"},
    ("medsam",): {"sam"},
    ("em_sam",): {"encoder", "generator"},
    ("em_sam", "model.sam.encoder=lora"): {"adapter", "generator"},
    ("generator",): {"generator"},
    ("joint",): {"adapter", "decoder", "generator"},
}

ALL = pytest.mark.parametrize("recipe", TRAINED, ids=lambda recipe: " ".join(recipe))


@ALL
def test_what_is_trained_changes_and_what_is_frozen_does_not(make: Make, recipe: tuple[str, ...]) -> None:
    changed = make(*recipe).changed()
    assert changed.keys() == TRAINED[recipe] | FROZEN[recipe]
    assert {part for part, kinds in changed.items() if kinds == {False}} == FROZEN[recipe]
    assert {part for part, kinds in changed.items() if True in kinds} == TRAINED[recipe]


@ALL
def test_a_model_file_holds_what_was_trained(make: Make, base: Path, recipe: tuple[str, ...]) -> None:
    run = make(*recipe)
    # A generator also keeps what its training images look like.
    statistics = {"statistics"} if "generator" in FILES[recipe] else set()
    assert run.parts() == FILES[recipe] | statistics
    tensors, header = load_model(run.model)
    sha256 = "" if recipe == ("generator",) else file_sha256(base)
    assert header.base_sha256 == sha256
    assert set(header.settings) == {"images", "model", "tiles", "prompts", "decode", "merge"}
    if "adapter" in FILES[recipe]:
        # Of the encoder nothing but the adapters.
        assert all("lora_" in name or "_adapter." in name for name in tensors if name.startswith("adapter."))
    if FROZEN[recipe] >= {ENCODER}:
        of_sam = sum(
            value.numel()
            for name, value in tensors.items()
            if name.partition(".")[0] not in ("generator", "statistics")
        )
        whole = sum(tensor.numel() for tensor in load_model(base)[0].values())
        assert of_sam < 0.4 * whole


@ALL
def test_the_model_segments(make: Make, recipe: tuple[str, ...]) -> None:
    run, image = make(*recipe), VALIDATION[0].image
    segmenter = Segmenter.from_model(run.model)
    assert segmenter.config.prompts == run.config.prompts
    if run.config.prompts.method == "user":
        boxes = make_prompts(VALIDATION[0].labels, None, points=0, box_margin=0.0, mask=False)
        result = segmenter.segment(image, prompts=boxes)
    else:
        result = segmenter.segment(image)
    assert result.labels.shape == image.shape[:2]
    assert result.labels.dtype == np.int32
    assert len(result.scores) == result.labels.max()
    again = Segmenter.from_model(run.model).segment(
        image, **({"prompts": boxes} if run.config.prompts.method == "user" else {})
    )
    np.testing.assert_array_equal(again.labels, result.labels)


@pytest.mark.parametrize("recipe", [("decoder",), ("joint",), ("em_sam", "model.sam.encoder=lora")])
def test_another_base_is_refused_with_both_hashes(
    make: Make, base: Path, recipe: tuple[str, ...], tmp_path: Path
) -> None:
    model = tmp_path / "model.safetensors"
    model.write_bytes(make(*recipe).model.read_bytes())
    before = base.read_bytes()
    original = file_sha256(base)
    try:
        write_base(base, seed=1)
        other = file_sha256(base)
        assert other != original
        with pytest.raises(ModelError) as error:
            load_networks(model)
    finally:
        base.write_bytes(before)
    assert original in str(error.value)
    assert other in str(error.value)
    assert "\n" not in str(error.value)
    load_networks(model)


# An user's prompts


def clicked(one: LabeledImage) -> LabeledImage:
    """Let somebody have clicked on every object."""
    middles = [np.argwhere(one.labels == number).mean(axis=0) for number in range(1, int(one.labels.max()) + 1)]
    return replace(one, prompts=tuple(Prompt(middle[None], np.array([1])) for middle in middles))


@pytest.mark.parametrize("how", ["add", "instead"])
def test_sac_with_an_user_prompts_prompts(
    make: Make, base: Path, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[list[int], list[int], int]] = []
    forward = JointModel.forward

    def watched(self: JointModel, images: Tensor, labels: Tensor, **given: Any) -> BatchLoss:
        # Truth prompts: as many as there are objects that are large enough, at most four.
        given["predicted_share"] = 0.0
        loss = forward(self, images, labels, **given)
        sizes = [np.bincount(tile.numpy().ravel())[1:] for tile in labels]
        truth = [min(4, int((of_tile >= self._prompts.min_size).sum())) for of_tile in sizes]
        user_prompts = [len(given["user_prompts"][index]) for index in range(len(labels))]
        seen.append((user_prompts, truth, int(loss.prompts)))
        return loss

    monkeypatch.setattr(JointModel, "forward", watched)
    config = make("sac").config
    training = config.training.model_copy(update={"user_prompts": how, "steps": 4})
    config = config.model_copy(update={"training": training})
    train(config, [clicked(SCENES[0])], [], out=tmp_path / "run")
    assert len(seen) == 4
    assert any(any(user_prompts) for user_prompts, _, _ in seen)
    for user_prompts, truth, asked in seen:
        own = [
            0 if of_expert and how == "instead" else n for of_expert, n in zip(user_prompts, truth, strict=True)
        ]
        assert asked == sum(user_prompts) + sum(own)


# Settings


@pytest.mark.parametrize("variant", ["vit_b", "vit_l", "vit_h"])
@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "generator"])
def test_recipes_for_the_published_sams(recipe: str, variant: str) -> None:
    config = load_config(recipe, overrides=[f"model.sam.variant={variant}", f"model.sam.base={variant}"])
    assert config.model.sam is not None
    assert (config.model.sam.variant, config.model.sam.base) == (variant, variant)
    plain = load_config(recipe)
    assert plain.model.sam is not None
    assert (plain.model.sam.variant, plain.model.sam.base) == ("tiny", "mito")
    # Nothing else of the recipe depends on which SAM it is.
    assert config.training == plain.training
    assert config.prompts == plain.prompts


def test_the_generator_alone_has_no_sam() -> None:
    config = load_config("generator")
    assert config.model.sam is None
    assert not config.decode.sam


def test_what_sets_the_recipes_apart() -> None:
    training = {name: load_config(name).training for name in RECIPES}
    assert {
        name: one.mask_loss for name, one in training.items() if name in ("sac", "decoder", "medsam", "joint")
    } == {
        "sac": "dice_ce",
        "decoder": "squared_dice_ce",
        "medsam": "dice_ce",
        "joint": "weighted",
    }
    # Ours alone: clicks that correct, and a gradient from the masks into the generator.
    ours = training["joint"]
    assert (ours.corrections, ours.soft_mask, ours.matching, ours.unmatched) == (1, True, "hungarian", True)
    for name in ("sac", "adapter"):
        other = training[name]
        assert (other.corrections, other.soft_mask) == (0, False)
        assert (other.matching, other.unmatched, other.mask_prompt) == ("overlap", False, 0.0)
        assert (other.predicted_between, other.predicted_share) == ((0.0, 0.0), 0.5)
    assert training["sac"] == training["adapter"]
    for name in ("decoder", "medsam"):
        assert load_config(name).model.generator is None
        assert training[name].simulate.box_only == 1.0
        assert training[name].corrections == 0
