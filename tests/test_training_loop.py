"""Training as a whole: it learns, it stops without damage and it goes on as if it had not stopped."""

import csv
import math
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from blobs import labeled_image, small_config, write_base
from torch import Tensor

from autosam.config import Config, load_config, make_config
from autosam.data import LabeledImage
from autosam.errors import AutosamError, ConfigError, InputError, OutputError
from autosam.models.files.checkpoint import load_model
from autosam.models.files.model_file import load_networks
from autosam.models.networks import WITHOUT_SAM, Networks, build_networks
from autosam.prompts import Prompt
from autosam.training import loop
from autosam.training.joint import JointModel
from autosam.training.loop import Progress, train
from autosam.training.losses.batch_loss import BatchLoss
from autosam.training.run.devices import make_fabric
from autosam.training.run.run_folder import (
    CHECKPOINT,
    MODEL,
    PREVIEWS,
    SETTINGS,
    TENSORBOARD,
    TRAIN_LOG,
    VALIDATION_LOG,
    RunFolder,
)
from autosam.training.run.validation import Validation
from autosam.training.samples.batches import make_batches, tile_size
from autosam.training.schedule import learning_rate
from autosam.training.state import build_state
from autosam.training.step import _set_rates

pytestmark = pytest.mark.usefixtures("few_windows")

SCENES = [labeled_image(0), labeled_image(1)]
VALIDATION = [labeled_image(2)]
TIMES = ("waited_s", "seconds", "cpu_s", "tiles_per_second", "peak_mb", "seconds_per_image")


def message(error: pytest.ExceptionInfo[AutosamError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [{key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(file)]


def checkpoint(path: Path) -> dict[str, Tensor]:
    state = torch.load(path / CHECKPOINT, weights_only=True)
    tensors = {f"{part}.{name}": value for part in ("model", "averaged") for name, value in state[part].items()}
    for index, moments in state["optimizer"]["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
    return tensors | {name: torch.tensor(state[name]) for name in ("step", "best", "fruitless")}


def contents(folder: Path) -> dict[Path, bytes]:
    """Read all files of a run but for TensorBoard's, which have the time in their names."""
    return {
        path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and TENSORBOARD not in str(path)
    }


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


class StopError(Exception):
    pass


def stop_after(step: int) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        if progress.step == step:
            raise StopError

    return report


def spoil(monkeypatch: pytest.MonkeyPatch, step: int, change: Callable[[BatchLoss], BatchLoss]) -> None:
    """Change the loss of one step."""
    forward = JointModel.forward

    def spoilt(self: JointModel, images: Tensor, labels: Tensor, **given: Any) -> BatchLoss:
        loss = forward(self, images, labels, **given)
        return change(loss) if given["seed"][1] == step else loss

    monkeypatch.setattr(JointModel, "forward", spoilt)


# A short run


def short(*overrides: str) -> Config:
    return small_config(
        "training.steps=6",
        "training.checkpoint_every=2",
        "training.validate_every=3",
        "training.ema=0.5",
        *overrides,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert train(short(), SCENES, VALIDATION, out=out, license="CC0") == out / MODEL
    return out


def test_what_a_run_leaves(finished: Path) -> None:
    names = {MODEL, CHECKPOINT, SETTINGS, TRAIN_LOG, VALIDATION_LOG, PREVIEWS}
    names |= {TENSORBOARD} if find_spec("tensorboard") else set()
    assert {path.name for path in finished.iterdir()} == names
    assert {path.name for path in (finished / PREVIEWS).iterdir()} == {
        f"step_{step:06d}_discs_2.png" for step in (3, 6)
    }
    assert load_config(finished / SETTINGS) == short()
    log = rows(finished / TRAIN_LOG)
    assert [row["step"] for row in log] == [str(step) for step in range(1, 7)]
    for row in log:
        parts = sum(float(row[name]) for name in ("generator", "mask", "iou"))
        assert float(row["loss"]) == pytest.approx(parts, abs=1e-4)
    validation = rows(finished / VALIDATION_LOG)
    assert [row["step"] for row in validation] == ["3", "6"]
    assert all(0 <= float(value) <= 1 for row in validation for name, value in row.items() if name != "step")


def test_the_model_is_the_best_average_and_knows_its_training(finished: Path) -> None:
    networks, header = load_networks(finished / MODEL)
    validation = rows(finished / VALIDATION_LOG)
    # Of equals the last: a short run that finds nothing yet has at least trained longer.
    best = max(reversed(validation), key=lambda row: float(row["mean_ap"]))
    assert header.training["step"] == int(best["step"])
    assert header.training["mean_ap"] == float(best["mean_ap"])
    assert header.training["sources"] == ["data"]
    assert header.training["steps"] == 6
    assert header.license == "CC0"
    assert set(header.settings) == {"images", "model", "tiles", "prompts", "decode", "merge"}
    assert networks.statistics is not None
    if header.training["step"] == 6:
        averaged = torch.load(finished / CHECKPOINT, weights_only=True)["averaged"]
        name = "unet.segmentation_head.0.weight"
        stored = averaged[f"module.generator.{name}"]
        assert torch.allclose(networks.generator.state_dict()[name], stored, rtol=1e-3, atol=1e-6)


def test_the_average_follows_the_weights(finished: Path) -> None:
    state = torch.load(finished / CHECKPOINT, weights_only=True)
    name = "generator.unet.segmentation_head.0.weight"
    weights, average = state["model"][name], state["averaged"][f"module.{name}"]
    start = build_networks(short().model, seed=0).generator.state_dict()["unet.segmentation_head.0.weight"]
    assert 0 < (weights - average).abs().max() < (weights - start).abs().max()


def test_the_same_run_gives_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 - a global state that must not matter
    train(short(), SCENES, VALIDATION, out=tmp_path, license="CC0")
    assert (tmp_path / MODEL).read_bytes() == (finished / MODEL).read_bytes()
    assert rows(tmp_path / TRAIN_LOG) == rows(finished / TRAIN_LOG)
    for path in (finished / PREVIEWS).iterdir():
        assert (tmp_path / PREVIEWS / path.name).read_bytes() == path.read_bytes()


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.parametrize("step", [4, 5], ids=["at a checkpoint", "after a checkpoint"])
def test_a_resumed_run_ends_with_the_same_bytes(finished: Path, tmp_path: Path, step: int) -> None:
    # Another number of workers is another machine, and changes nothing.
    before, after = (0, 1) if step == 4 else (1, 0)
    config = short(f"training.workers={before}")
    with pytest.raises(StopError):
        train(config, SCENES, VALIDATION, out=tmp_path, license="CC0", report=stop_after(step))
    assert len(rows(tmp_path / TRAIN_LOG)) == step
    seen: list[int] = []
    train(
        short(f"training.workers={after}"),
        SCENES,
        VALIDATION,
        out=tmp_path,
        resume=True,
        license="CC0",
        report=lambda progress: seen.append(progress.step),
    )
    # where it goes on, then every step
    assert seen == [4, 5, 6]
    assert_same(checkpoint(finished), checkpoint(tmp_path))
    assert (tmp_path / MODEL).read_bytes() == (finished / MODEL).read_bytes()
    assert rows(tmp_path / TRAIN_LOG) == rows(finished / TRAIN_LOG)
    assert rows(tmp_path / VALIDATION_LOG) == rows(finished / VALIDATION_LOG)


def test_a_finished_run_is_resumed_to_nothing(finished: Path) -> None:
    before = contents(finished)

    seen: list[int] = []
    model = train(
        short(),
        SCENES,
        VALIDATION,
        out=finished,
        resume=True,
        report=lambda progress: seen.append(progress.step),
    )
    assert model == finished / MODEL
    assert seen == [6], "it trained"
    assert contents(finished) == before


def test_a_run_is_not_overwritten_nor_resumed_with_other_settings(finished: Path) -> None:
    with pytest.raises(ConfigError, match="already holds a run"):
        train(short(), SCENES, VALIDATION, out=finished)
    with pytest.raises(ConfigError, match=r"other settings for training\.steps;"):
        train(short("training.steps=4"), SCENES, VALIDATION, out=finished, resume=True)


def test_a_finished_run_goes_on_with_more_steps(tmp_path: Path) -> None:
    train(short("training.steps=2"), SCENES, [], out=tmp_path)
    longer = short("training.steps=5", "training.schedule=cosine")
    train(longer, SCENES, [], out=tmp_path, resume=True)
    assert [row["step"] for row in rows(tmp_path / TRAIN_LOG)] == ["1", "2", "3", "4", "5"]
    for row in rows(tmp_path / TRAIN_LOG)[2:]:
        # The schedule is that of the longer run from there on.
        wanted = learning_rate(longer.training, int(row["step"]) - 1, peak=longer.training.learning_rate)
        assert float(row["learning_rate"]) == pytest.approx(wanted, rel=1e-3)
    assert load_networks(tmp_path / MODEL)[1].training["step"] == 5
    assert load_config(tmp_path / SETTINGS).training.steps == 5


def test_a_sam_that_is_trained_sees_small_images_as_in_training(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"small_images=enlarge suits a SAM that is not trained further"
    ) as error:
        train(short("model.sam.small_images=enlarge"), SCENES, [], out=tmp_path / "run")
    message(error)
    assert not (tmp_path / "run").exists()


def test_without_validation_the_last_weights_are_kept(tmp_path: Path) -> None:
    train(short("training.steps=2", "training.ema=0"), SCENES, [], out=tmp_path)
    assert not (tmp_path / VALIDATION_LOG).exists()
    networks, header = load_networks(tmp_path / MODEL)
    assert header.training["step"] == 2
    # no average: the weights themselves, in half precision
    weights = torch.load(tmp_path / CHECKPOINT, weights_only=True)["model"]
    for name, tensor in networks.generator.state_dict().items():
        assert torch.allclose(tensor, weights[f"generator.{name}"], rtol=1e-3, atol=1e-6), name


def test_it_learns(tmp_path: Path) -> None:
    steps = 40
    config = small_config(
        f"training.steps={steps}",
        f"training.checkpoint_every={steps}",
        "training.predicted_between=[0.5, 0.9]",
        "training.learning_rate=1e-3",
        "training.generator_learning_rate=3e-3",
        "training.mask_prompt=1.0",
        # The means of the log are then those of first answers.
        "training.corrections=0",
    )
    train(config, [labeled_image(seed) for seed in range(4)], [], out=tmp_path)
    log = rows(tmp_path / TRAIN_LOG)

    def mean(name: str, part: slice) -> float:
        return float(np.mean([float(row[name]) for row in log[part]]))

    first, last = slice(0, 5), slice(-10, None)
    assert mean("generator", last) < 0.6 * mean("generator", first)
    assert mean("mask", last) < 0.4 * mean("mask", first)
    assert mean("mask_iou", last) > mean("mask_iou", first) + 0.2
    assert float(log[-1]["predicted_share"]) > 0.6
    assert float(log[0]["predicted_share"]) == 0


# LoRA on a base


def test_lora_on_a_base_and_resumed(tmp_path: Path) -> None:
    path = write_base(tmp_path / "base.safetensors", seed=5)
    base = {name.removeprefix("sam."): tensor for name, tensor in load_model(path)[0].items()}
    config = small_config(
        f"model.sam.base={path}",
        "model.sam.encoder=lora",
        "model.sam.prompt_encoder=frozen",
        "training.steps=3",
        "training.checkpoint_every=2",
        "training.warmup=0",
    )
    train(config, SCENES, [], out=tmp_path / "whole")
    with pytest.raises(StopError):
        train(config, SCENES, [], out=tmp_path / "parts", report=stop_after(2))
    train(config, SCENES, [], out=tmp_path / "parts", resume=True)
    assert (tmp_path / "whole" / MODEL).read_bytes() == (tmp_path / "parts" / MODEL).read_bytes()

    trained, before = torch.load(tmp_path / "whole" / CHECKPOINT, weights_only=True), base
    for name, tensor in before.items():
        if not name.startswith("mask_decoder."):
            for part, prefix in (("model", "sam."), ("averaged", "module.sam.")):
                assert torch.equal(trained[part][prefix + name], tensor), name
    tensors, header = load_model(tmp_path / "whole" / MODEL)
    assert {name.partition(".")[0] for name in tensors} == {"adapter", "decoder", "statistics", "generator"}
    assert header.base_name == str(path)
    assert any(bool(tensor.any()) for name, tensor in tensors.items() if name.endswith("lora_B"))
    load_networks(tmp_path / "whole" / MODEL)


# What goes wrong


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda loss: loss._replace(mask=loss.mask * float("nan")), "loss is nan at step 3"),
        (lambda loss: loss._replace(generator=loss.generator * float("inf")), "loss is inf at step 3"),
        # finite, with a gradient that is not: the weights would be spoilt before the next loss shows it
        (lambda loss: loss._replace(mask=(loss.mask * 0).sqrt()), "gradient's norm is nan at step 3"),
    ],
)
def test_a_run_that_diverges_keeps_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[BatchLoss], BatchLoss], what: str
) -> None:
    spoil(monkeypatch, 3, change)
    settings = ("training.checkpoint_every=3", "training.steps=4")
    with pytest.raises(AutosamError) as error:
        train(short(*settings, "training.precision=bfloat16"), SCENES, [], out=tmp_path)
    text = message(error)
    assert what in text
    assert f"the last checkpoint is kept in {tmp_path}: resume with --set training.precision=float32" in text
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert state["step"] == 3
    assert all(torch.isfinite(tensor).all() for tensor in state["model"].values())
    assert not (tmp_path / MODEL).exists()
    # what the message advises works
    monkeypatch.undo()
    train(short(*settings), SCENES, [], out=tmp_path, resume=True)
    assert (tmp_path / MODEL).is_file()


def test_a_run_that_diverges_before_its_first_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, 0, lambda loss: loss._replace(mask=loss.mask * float("nan")))
    with pytest.raises(AutosamError, match="before the first checkpoint; start again with a lower") as error:
        train(short(), SCENES, [], out=tmp_path)
    assert "resume" not in message(error)
    monkeypatch.undo()
    train(short("training.steps=1"), SCENES, [], out=tmp_path)
    assert len(rows(tmp_path / TRAIN_LOG)) == 1


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.parametrize("when", ["before the first step", "after its model was written"])
def test_a_run_is_resumed_from_before_its_first_checkpoint(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    config = short("training.checkpoint_every=6")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if when == "before the first step":
            patch.setattr(JointModel, "forward", killed)
        else:
            saved, write = [], RunFolder.save_checkpoint

            def once(run: RunFolder, state: dict[str, Any]) -> None:
                saved.append(state["step"])
                if len(saved) > 1:
                    raise KeyboardInterrupt
                write(run, state)

            patch.setattr(RunFolder, "save_checkpoint", once)
        with pytest.raises(KeyboardInterrupt):
            train(config, SCENES, VALIDATION, out=tmp_path, license="CC0")
    assert (tmp_path / MODEL).exists() is (when != "before the first step")
    train(config, SCENES, VALIDATION, out=tmp_path, resume=True)
    assert (tmp_path / MODEL).read_bytes() == (finished / MODEL).read_bytes()
    assert rows(tmp_path / TRAIN_LOG) == rows(finished / TRAIN_LOG)
    assert rows(tmp_path / VALIDATION_LOG) == rows(finished / VALIDATION_LOG)


def test_a_full_disk_leaves_a_run_that_can_go_on(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = torch.save

    def full(state: dict[str, object], file: object) -> None:
        if state["step"] == 4:
            raise RuntimeError("[enforce fail at inline_container.cc:671] . unexpected pos 640 vs 598\nframe #0")
        save(state, file)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(
        OutputError, match="the checkpoint before it is kept: free space, then add --resume"
    ) as error:
        train(short(), SCENES, VALIDATION, out=tmp_path, license="CC0")
    message(error)
    # The one that was kept with the validation of step 3.
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["step"] == 3
    monkeypatch.undo()
    train(short(), SCENES, VALIDATION, out=tmp_path, license="CC0", resume=True)
    assert (tmp_path / MODEL).read_bytes() == (finished / MODEL).read_bytes()


@pytest.mark.parametrize(
    "labeled_images",
    [[], [LabeledImage("s/a", "s", np.zeros((96, 96, 3), np.uint8), np.zeros((96, 96), np.int32))]],
)
def test_nothing_to_learn_from(tmp_path: Path, labeled_images: list[LabeledImage]) -> None:
    with pytest.raises(
        InputError, match=f"none of the {len(labeled_images)} training images has an object; check the labels"
    ):
        train(short(), labeled_images, VALIDATION, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("method", ["grid", "user"])
def test_prompts_that_no_generator_predicts_are_refused(tmp_path: Path, method: str) -> None:
    with pytest.raises(ConfigError, match=f"prompts.method={method} asks no generator"):
        train(short(f"prompts.method={method}"), SCENES, VALIDATION, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_sam_that_would_not_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"any use, so training it is in vain; set model\.sam=null or decode"):
        train(short("decode.sam=false"), SCENES, VALIDATION, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (("model.sam=null", "decode.sam=false"), r"model\.generator\.base"),
        (("model.sam.base=base",), r"model\.generator\.base"),
        (("model.sam.base=null", "model.generator.base=generator"), r"model\.sam\.base"),
        (("model.sam.base=null",), r"model\.sam\.base and model\.generator\.base"),
    ],
)
def test_random_weights_have_no_statistics_to_keep(tmp_path: Path, settings: tuple[str, ...], named: str) -> None:
    config = small_config("training.freeze_statistics=true", *settings)
    with pytest.raises(ConfigError, match=f"random weights come with none; set {named}, or training"):
        train(config, [labeled_image(0)], [], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ((), r"model\.generator\.base names none"),
        (("model.generator=null", "prompts.method=user"), r"model\.generator is null"),
    ],
)
def test_a_generator_of_random_weights_is_not_frozen(
    tmp_path: Path, settings: tuple[str, ...], named: str
) -> None:
    config = small_config("training.freeze_generator=true", *settings)
    with pytest.raises(ConfigError, match=f"trained already, and {named}; set model"):
        train(config, [labeled_image(0)], [], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_rates_of_a_step_and_its_log(tmp_path: Path) -> None:
    config = short("training.steps=1", "training.encoder_rate=0.25", "training.schedule=constant")
    state = build_state(
        config,
        build_networks(config.model),
        make_fabric(torch.device("cpu"), devices=1, precision="float32"),
        folder=tmp_path,
        license="",
    )
    row = _set_rates(state)
    peak = config.training.generator_learning_rate
    assert row == {"learning_rate": config.training.learning_rate, "generator_learning_rate": peak}
    rates = {(group["part"], group["relative"]): group["lr"] for group in state.optimizer.param_groups}
    assert rates == {("sam", 1.0): row["learning_rate"], ("generator", 1.0): peak, ("generator", 0.25): peak / 4}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (("training.freeze_stages=1",), "freezes stages of tu-resnet18"),
        (("training.freeze_stages=1", "model.generator.encoder=tu-resnet18"), "would keep random weights"),
        (
            ("training.freeze_stages=4", "model.generator.encoder=tu-resnet18"),
            "up to the depth; the generator has",
        ),
        (("training.encoder_rate=0.5", "model.generator=null", "prompts.method=user"), "there is none"),
        (("training.deep_supervision=1",), "deep_supervision=1 is for a generator in training on tu-resnet18"),
        (
            ("training.deep_supervision=1", "training.compile=true", "model.generator.encoder=tu-resnet18"),
            "deep_supervision asks its stages",
        ),
    ],
)
def test_an_encoder_that_cannot_be_frozen_or_slowed_down(
    tmp_path: Path, settings: tuple[str, ...], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        train(small_config(*settings), [labeled_image(0)], [], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "settings",
    [
        ("model.generator=null", "prompts.method=user"),
        ("model.sam=null", "decode.sam=false"),
        ("training.mask_prompt=0",),
        ("model.generator.channels=[boundary]",),
    ],
)
def test_logits_that_nobody_gives_are_not_fused(tmp_path: Path, settings: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"training\.fusion=2 adds the logits of mask prompts"):
        train(small_config("training.fusion=2", *settings), [labeled_image(0)], [], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("given", ["second_pass=0.5", "simulate.wrong=4", "simulate.points_per_object=[1,3]"])
def test_prompts_of_no_sam_are_not_simulated(tmp_path: Path, given: str) -> None:
    config = small_config(f"training.{given}", "model.sam=null", "decode.sam=false", "tiles.size=64")
    with pytest.raises(ConfigError, match=rf"^training\.{given.partition('=')[0]} speaks of the prompts of a SAM"):
        train(config, [labeled_image(0)], [], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_images_smaller_than_a_tile(tmp_path: Path) -> None:
    image, labels = labeled_image(0).image[:10, :30], labeled_image(0).labels[:10, :30].copy()
    labels[2:8, 3:12] = 1
    config = short("training.steps=2", "training.validate_every=2", "prompts.min_size=4", "merge.min_size=1")
    small = [LabeledImage("s/a", "s", image, labels)]
    train(config, small, small, out=tmp_path)
    assert (tmp_path / MODEL).is_file()
    assert len(rows(tmp_path / VALIDATION_LOG)) == 1


@pytest.mark.parametrize("channel", ["foreground", "boundary"])
def test_a_generator_of_one_channel(tmp_path: Path, channel: str) -> None:
    config = short(
        f"model.generator.channels=[{channel}]",
        "training.steps=3",
        "training.validate_every=3",
        "training.predicted_between=[0, 0]",
        "training.predicted_share=1.0",
    )
    train(config, SCENES, VALIDATION, out=tmp_path)
    assert load_networks(tmp_path / MODEL)[0].generator.channels == (channel,)


def user_prompts(one: LabeledImage) -> LabeledImage:
    """Let somebody have clicked on every object of a labeled image."""
    middles = [np.argwhere(one.labels == number).mean(axis=0) for number in range(1, int(one.labels.max()) + 1)]
    return replace(one, prompts=tuple(Prompt(middle[None], np.array([1])) for middle in middles))


@pytest.mark.parametrize("how", ["add", "instead"])
def test_bfloat16_trains(tmp_path: Path, how: str) -> None:
    config = short("training.steps=2", "training.precision=bfloat16", f"training.user_prompts={how}")
    train(config, [user_prompts(one) for one in SCENES], [], out=tmp_path)
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert {tensor.dtype for tensor in state["model"].values()} == {torch.float32, torch.int64}


def test_training_leaves_torchs_own_randomness_alone(tmp_path: Path) -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    train(short("training.steps=1"), SCENES, [], out=tmp_path)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_license_belongs_to_the_run(tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(short(), SCENES, VALIDATION, out=tmp_path, license="CC0", report=stop)
    with pytest.raises(ConfigError, match="was started with license 'CC0'"):
        train(short(), SCENES, VALIDATION, out=tmp_path, license="MIT", resume=True)
    train(short(), SCENES, VALIDATION, out=tmp_path, resume=True)
    assert load_networks(tmp_path / MODEL)[1].license == "CC0"


def test_a_finished_run_without_its_model_does_not_claim_one(finished: Path, tmp_path: Path) -> None:
    for path in finished.iterdir():
        if path.is_file() and path.name != MODEL:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(AutosamError, match=r"finished, but its model\.safetensors is gone"):
        train(short(), SCENES, VALIDATION, out=tmp_path, resume=True)


# Batches


def batches(world: int, rank: int, *, start: int = 0, **settings: int) -> list[Any]:
    config = short(*(f"training.{name}={value}" for name, value in settings.items()))
    fabric: Any = SimpleNamespace(world_size=world, global_rank=rank)
    return list(make_batches(config, SCENES, 64, fabric, start=start))


def tiles(*of: list[Any]) -> list[Tensor]:
    """Put the tiles of rounds of batches one after the other: the first batch of each process, the second ..."""
    return [image for turn in zip(*of, strict=True) for batch in turn for image in batch.images]


@pytest.mark.parametrize("start", [0, 2])
def test_every_way_to_cut_a_step_has_the_same_tiles_in_the_same_order(start: int) -> None:
    whole = batches(1, 0, start=start, batch_size=4)
    assert [len(batch.images) for batch in whole] == [4] * (6 - start)
    parts = batches(1, 0, start=start, batch_size=2, accumulate=2)
    assert [len(batch.images) for batch in parts] == [2] * 2 * (6 - start)
    devices = [batches(2, rank, start=start, batch_size=2) for rank in range(2)]
    both = [batches(2, rank, start=start, batch_size=1, accumulate=2) for rank in range(2)]
    wanted = tiles(whole)
    for other in (tiles(parts), tiles(*devices), tiles(*both)):
        assert len(other) == len(wanted)
        assert all(torch.equal(a, b) for a, b in zip(other, wanted, strict=True))


def test_a_resumed_run_has_the_tiles_that_come_next() -> None:
    for settings in ({"batch_size": 2}, {"batch_size": 1, "accumulate": 2}):
        whole, rest = (tiles(batches(1, 0, start=start, **settings)) for start in (0, 4))
        assert all(torch.equal(a, b) for a, b in zip(whole[8:], rest, strict=True))
    assert batches(1, 0, start=6, batch_size=2) == []


def test_batches_that_are_added_up_are_one_large_one(tmp_path: Path) -> None:
    # No network whose batch normalization sees the batch, and four objects in each tile: means of means are means.
    base = write_base(tmp_path / "base.safetensors")
    whole_tiles = [labeled_image(seed, 64) for seed in range(3)]
    logs = []
    for accumulate, batch_size in ((1, 2), (2, 1)):
        config = small_config(
            f"model.sam.base={base}",
            "model.sam.encoder=lora",
            "model.sam.prompt_encoder=frozen",
            "model.generator=null",
            "prompts.method=user",
            "training.steps=2",
            "training.learning_rate=1e-4",
            "training.augment={zoom: [1.0, 1.0], blur: 0}",
            f"training.accumulate={accumulate}",
            f"training.batch_size={batch_size}",
        )
        out = tmp_path / str(accumulate)
        train(config, whole_tiles, [], out=out)
        logs.append(rows(out / TRAIN_LOG))
    whole, parts = logs
    assert [row["step"] for row in parts] == ["1", "2"]
    for name in ("loss", "mask", "iou", "mask_iou", "matched"):
        assert float(parts[0][name]) == pytest.approx(float(whole[0][name]), abs=2e-4), name
        assert float(parts[1][name]) == pytest.approx(float(whole[1][name]), rel=1e-2, abs=2e-3), name


def test_the_side_of_a_tile(tmp_path: Path) -> None:
    both = build_networks(short().model)
    config = make_config({})
    assert tile_size(both, config) == tile_size(replace(both, generator=None), config) == 64
    alone = replace(both, sam=None)
    assert tile_size(alone, config) == WITHOUT_SAM
    # A setting that nothing fixes is followed: small tiles make small steps.
    assert tile_size(alone, make_config({"tiles": {"size": 96}})) == 96
    with pytest.raises(ConfigError, match=r"tiles.size is 100; .* a multiple of 8: set it to 104"):
        tile_size(alone, make_config({"tiles": {"size": 100}}))
    base = write_base(tmp_path / "base.safetensors")
    encoder = small_config(
        f"model.sam.base={base}",
        "model.sam.mask_decoder=none",
        "model.sam.prompt_encoder=none",
        "model.generator={encoder: sam, depth: 4, decoder_channels: [16, 8, 8, 8]}",
        "decode.sam=false",
    )
    assert tile_size(build_networks(encoder.model), encoder) == 64


# The end


def scored(monkeypatch: pytest.MonkeyPatch, *scores: float) -> list[int]:
    """Let validations have these scores, one after the other; the list grows with each of them."""
    calls: list[int] = []

    def validate(networks: Networks, config: Config, labeled_images: list[LabeledImage]) -> Validation:
        calls.append(len(labeled_images))
        return Validation({"mean_ap": scores[len(calls) - 1], "a_rand": 0.1}, [])

    monkeypatch.setattr(loop, "validate", validate)
    return calls


EARLY = ("training.validate_every=1", "training.patience=2")


def test_a_run_that_gets_no_better_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = scored(monkeypatch, 0.1, 0.4, 0.3, 0.2, 0.9, 0.9)
    said: list[Progress] = []
    train(short(*EARLY), SCENES, VALIDATION, out=tmp_path, report=said.append)
    assert len(calls) == 4
    assert [progress.step for progress in said] == [0, 1, 2, 3, 4]
    assert said[-1].message == "mean_ap 0.200, a_rand 0.100; no better for 2 validations, so the run ends here"
    assert [row["step"] for row in rows(tmp_path / TRAIN_LOG)] == ["1", "2", "3", "4"]
    _, header = load_networks(tmp_path / MODEL)
    assert (header.training["step"], header.training["mean_ap"]) == (2, 0.4)
    # It is finished: resumed, it has nothing to go on with, and the logs stay.
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["step"] == 6
    before = contents(tmp_path)
    said.clear()
    assert train(short(*EARLY), SCENES, VALIDATION, out=tmp_path, resume=True, report=said.append).is_file()
    assert [progress.step for progress in said] == [6]
    assert len(calls) == 4
    assert contents(tmp_path) == before
    with pytest.raises(ConfigError, match=r"ended early, after 2 validations .* start another run") as error:
        train(short(*EARLY, "training.steps=9"), SCENES, VALIDATION, out=tmp_path, resume=True)
    message(error)
    assert contents(tmp_path) == before


def test_equal_scores_are_no_worse_and_patience_is_kept_over_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = scored(monkeypatch, 0.4, 0.3, 0.4, 0.3, 0.2, 0.9)
    with pytest.raises(StopError):
        train(short(*EARLY), SCENES, VALIDATION, out=tmp_path, report=stop_after(4))
    assert len(calls) == 4
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["fruitless"] == 1
    train(short(*EARLY), SCENES, VALIDATION, out=tmp_path, resume=True)
    assert len(calls) == 5
    _, header = load_networks(tmp_path / MODEL)
    assert header.training["step"] == 3


def test_without_patience_a_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = scored(monkeypatch, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0)
    train(short("training.validate_every=1"), SCENES, VALIDATION, out=tmp_path)
    assert len(calls) == 6


def test_a_run_whose_patience_ends_with_it_says_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch, 0.5, 0.4, 0.3)
    said: list[Progress] = []
    config = short("training.steps=3", *EARLY)
    train(config, SCENES, VALIDATION, out=tmp_path, report=said.append)
    assert said[-1].message == "mean_ap 0.300, a_rand 0.100"


# What is logged


def test_the_log_knows_rates_shares_and_speed(tmp_path: Path) -> None:
    config = short(
        "training.steps=4",
        "training.schedule=constant",
        "training.warmup=0.5",
        "training.learning_rate=2e-4",
        "training.generator_learning_rate=6e-4",
        "training.accumulate=2",
        "training.batch_size=1",
        "training.predicted_between=[0.0, 0.5]",
        "training.predicted_share=0.8",
    )
    train(config, SCENES, [], out=tmp_path)
    with (tmp_path / TRAIN_LOG).open(newline="", encoding="utf-8") as file:
        log = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert [row["learning_rate"] for row in log] == [1e-4, 2e-4, 2e-4, 2e-4]
    assert [row["generator_learning_rate"] for row in log] == [3e-4, 6e-4, 6e-4, 6e-4]
    assert [row["predicted_share"] for row in log] == [0, 0.4, 0.8, 0.8]
    for row in log:
        assert row["tiles_per_second"] == pytest.approx(2 / row["seconds"], rel=0.05)
        assert row["cpu_s"] > 0
        assert 0 <= row["waited_s"] < row["seconds"]
        assert row["peak_mb"] > 50  # the program alone
        assert math.isfinite(row["loss"])


def test_the_log_has_the_rates_of_what_is_trained(tmp_path: Path) -> None:
    for name, rate, overrides in (
        ("sam", "learning_rate", ("model.generator=null", "prompts.method=user", "training.predicted_share=0")),
        ("generator", "generator_learning_rate", ("model.sam=null", "decode.sam=false", "tiles.size=64")),
    ):
        train(short("training.steps=1", *overrides), SCENES, [], out=tmp_path / name)
        (row,) = rows(tmp_path / name / TRAIN_LOG)
        assert [column for column in row if column.endswith("learning_rate")] == [rate]
