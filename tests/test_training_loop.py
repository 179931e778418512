"""Training as a whole: it learns, it stops without damage and it goes on as if it had not stopped."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from blobs import scene, small_config
from torch import Tensor

from autosam.config import Config, load_config
from autosam.data import Scene
from autosam.errors import AutosamError, ConfigError, InputError, OutputError
from autosam.models.checkpoint import load_model
from autosam.models.variants import build_sam
from autosam.networks import build_networks, load_networks
from autosam.training import loop
from autosam.training.joint import JointLoss, JointModel
from autosam.training.loop import Progress, train
from autosam.training.run import CHECKPOINT, MODEL, SETTINGS, TRAIN_LOG, VALIDATION_LOG

SCENES = [scene(0), scene(1)]
VALIDATION = [scene(2)]
TIMES = ("waited_s", "seconds")


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
    return tensors | {"step": torch.tensor(state["step"]), "best": torch.tensor(state["best"])}


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


def spoil(monkeypatch: pytest.MonkeyPatch, step: int, change: Callable[[JointLoss], JointLoss]) -> None:
    """Change the loss of one step."""
    forward = JointModel.forward

    def spoilt(self: JointModel, images: Tensor, labels: Tensor, *, emitted_share: float, seed: tuple[int, int]):
        loss = forward(self, images, labels, emitted_share=emitted_share, seed=seed)
        return change(loss) if seed[1] == step else loss

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
    assert train(short(), SCENES, VALIDATION, out=out, licence="CC0") == out / MODEL
    return out


def test_what_a_run_leaves(finished: Path) -> None:
    names = {MODEL, CHECKPOINT, SETTINGS, TRAIN_LOG, VALIDATION_LOG}
    assert {path.name for path in finished.iterdir()} == names
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
    assert header.licence == "CC0"
    assert set(header.settings) == {"images", "model", "tiles", "prompts", "decode", "merge"}
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
    train(short(), SCENES, VALIDATION, out=tmp_path, licence="CC0")
    assert (tmp_path / MODEL).read_bytes() == (finished / MODEL).read_bytes()
    assert rows(tmp_path / TRAIN_LOG) == rows(finished / TRAIN_LOG)


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.parametrize("step", [4, 5], ids=["at a checkpoint", "after a checkpoint"])
def test_a_resumed_run_ends_with_the_same_bytes(finished: Path, tmp_path: Path, step: int) -> None:
    # Another number of workers is another machine, and changes nothing.
    before, after = (0, 1) if step == 4 else (1, 0)
    config = short(f"training.workers={before}")
    with pytest.raises(StopError):
        train(config, SCENES, VALIDATION, out=tmp_path, licence="CC0", report=stop_after(step))
    assert len(rows(tmp_path / TRAIN_LOG)) == step
    seen: list[int] = []
    train(
        short(f"training.workers={after}"),
        SCENES,
        VALIDATION,
        out=tmp_path,
        resume=True,
        licence="CC0",
        report=lambda progress: seen.append(progress.step),
    )
    # where it goes on, then every step
    assert seen == [4, 5, 6]
    assert_same(checkpoint(finished), checkpoint(tmp_path))
    assert (tmp_path / MODEL).read_bytes() == (finished / MODEL).read_bytes()
    assert rows(tmp_path / TRAIN_LOG) == rows(finished / TRAIN_LOG)
    assert rows(tmp_path / VALIDATION_LOG) == rows(finished / VALIDATION_LOG)


def test_a_finished_run_is_resumed_to_nothing(finished: Path) -> None:
    before = {path.name: path.read_bytes() for path in finished.iterdir()}

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
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before


def test_a_run_is_not_overwritten_nor_resumed_with_other_settings(finished: Path) -> None:
    with pytest.raises(ConfigError, match="already holds a run"):
        train(short(), SCENES, VALIDATION, out=finished)
    with pytest.raises(ConfigError, match=r"other settings for training\.steps;"):
        train(short("training.steps=12"), SCENES, VALIDATION, out=finished, resume=True)


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
        "training.emitted=[0.5, 0.9]",
        "training.learning_rate=1e-3",
        "training.generator_learning_rate=3e-3",
        "training.mask_prompt=1.0",
    )
    train(config, [scene(seed) for seed in range(4)], [], out=tmp_path)
    log = rows(tmp_path / TRAIN_LOG)

    def mean(name: str, part: slice) -> float:
        return float(np.mean([float(row[name]) for row in log[part]]))

    first, last = slice(0, 5), slice(-10, None)
    assert mean("generator", last) < 0.6 * mean("generator", first)
    assert mean("mask", last) < 0.4 * mean("mask", first)
    assert mean("mask_iou", last) > mean("mask_iou", first) + 0.2
    assert float(log[-1]["emitted_share"]) > 0.6
    assert float(log[0]["emitted_share"]) == 0


# LoRA on a base


def test_lora_on_a_base_and_resumed(tmp_path: Path) -> None:
    torch.manual_seed(5)
    base = build_sam("tiny", image_size=64).state_dict()
    torch.save(base, tmp_path / "base.pth")
    config = small_config(
        f"model.sam.base={tmp_path / 'base.pth'}",
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
    assert {name.partition(".")[0] for name in tensors} == {"adapter", "decoder", "generator"}
    assert header.base_name == str(tmp_path / "base.pth")
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[JointLoss], JointLoss], what: str
) -> None:
    config = short("training.checkpoint_every=3", "training.steps=4")
    spoil(monkeypatch, 3, change)
    with pytest.raises(AutosamError) as error:
        train(config, SCENES, [], out=tmp_path)
    text = message(error)
    assert what in text
    assert f"the last checkpoint is kept in {tmp_path}: resume with --set training.precision=float32" in text
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert state["step"] == 3
    assert all(torch.isfinite(tensor).all() for tensor in state["model"].values())
    assert not (tmp_path / MODEL).exists()
    # what the message advises works
    monkeypatch.undo()
    train(short("training.checkpoint_every=3", "training.steps=4"), SCENES, [], out=tmp_path, resume=True)
    assert (tmp_path / MODEL).is_file()


def test_a_run_that_diverges_before_its_first_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, 0, lambda loss: loss._replace(mask=loss.mask * float("nan")))
    with pytest.raises(AutosamError, match="before the first checkpoint; start again with a lower") as error:
        train(short(), SCENES, [], out=tmp_path)
    assert "resume" not in message(error)
    monkeypatch.undo()
    train(short("training.steps=1"), SCENES, [], out=tmp_path)
    assert len(rows(tmp_path / TRAIN_LOG)) == 1


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
        train(short(), SCENES, VALIDATION, out=tmp_path, licence="CC0")
    message(error)
    # The one that was kept with the validation of step 3.
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["step"] == 3
    monkeypatch.undo()
    train(short(), SCENES, VALIDATION, out=tmp_path, licence="CC0", resume=True)
    assert (tmp_path / MODEL).read_bytes() == (finished / MODEL).read_bytes()


@pytest.mark.parametrize(
    "scenes", [[], [Scene("s/a", "s", np.zeros((96, 96, 3), np.uint8), np.zeros((96, 96), np.int32))]]
)
def test_nothing_to_learn_from(tmp_path: Path, scenes: list[Scene]) -> None:
    with pytest.raises(
        InputError, match=f"none of the {len(scenes)} training images has an object; check the labels"
    ):
        train(short(), scenes, VALIDATION, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("method", ["grid", "manual"])
def test_prompts_that_no_generator_emits_are_refused(tmp_path: Path, method: str) -> None:
    with pytest.raises(ConfigError, match=f"prompts.method={method} asks no generator"):
        train(short(f"prompts.method={method}"), SCENES, VALIDATION, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_images_smaller_than_a_tile(tmp_path: Path) -> None:
    image, labels = scene(0).image[:10, :30], scene(0).labels[:10, :30].copy()
    labels[2:8, 3:12] = 1
    config = short("training.steps=2", "training.validate_every=2", "prompts.min_size=4", "merge.min_size=1")
    small = [Scene("s/a", "s", image, labels)]
    train(config, small, small, out=tmp_path)
    assert (tmp_path / MODEL).is_file()
    assert len(rows(tmp_path / VALIDATION_LOG)) == 1


@pytest.mark.parametrize("channel", ["foreground", "boundary"])
def test_a_generator_of_one_channel(tmp_path: Path, channel: str) -> None:
    config = short(
        f"model.generator.channels=[{channel}]",
        "training.steps=3",
        "training.validate_every=3",
        "training.emitted=[0, 0]",
        "training.emitted_share=1.0",
    )
    train(config, SCENES, VALIDATION, out=tmp_path)
    assert load_networks(tmp_path / MODEL)[0].generator.channels == (channel,)


def test_bfloat16_trains(tmp_path: Path) -> None:
    train(short("training.steps=2", "training.precision=bfloat16"), SCENES, [], out=tmp_path)
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert {tensor.dtype for tensor in state["model"].values()} == {torch.float32, torch.int64}


def test_nothing_trainable_is_refused(tmp_path: Path) -> None:
    model = JointModel(
        build_sam("tiny", image_size=64),
        build_networks(short().model).generator,
        prompts=short().prompts,
        training=short().training,
    )
    model.requires_grad_(False)
    with pytest.raises(ConfigError, match="nothing is trainable"):
        loop.make_optimizer(model, weight_decay=0.0)


def test_training_leaves_torchs_own_randomness_alone(tmp_path: Path) -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    train(short("training.steps=1"), SCENES, [], out=tmp_path)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_licence_belongs_to_the_run(tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(short(), SCENES, VALIDATION, out=tmp_path, licence="CC0", report=stop)
    with pytest.raises(ConfigError, match="was started with licence 'CC0'"):
        train(short(), SCENES, VALIDATION, out=tmp_path, licence="MIT", resume=True)
    train(short(), SCENES, VALIDATION, out=tmp_path, resume=True)
    assert load_networks(tmp_path / MODEL)[1].licence == "CC0"


def test_a_finished_run_without_its_model_does_not_claim_one(finished: Path, tmp_path: Path) -> None:
    for path in finished.iterdir():
        if path.name != MODEL:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(AutosamError, match=r"finished, but its model\.safetensors is gone"):
        train(short(), SCENES, VALIDATION, out=tmp_path, resume=True)
