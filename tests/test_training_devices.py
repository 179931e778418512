"""Devices and precisions: what is refused, and that none of them changes what is learned."""

import csv
import os
import resource
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from blobs import SMALL, disc_tiles, labeled_image, small_config, total_loss, write_base, write_discs
from torch import nn
from torch.optim.swa_utils import AveragedModel

from autosam.config import load_config
from autosam.errors import AutosamError, ConfigError
from autosam.models.networks import build_networks
from autosam.training.joint import JointModel
from autosam.training.loop import train
from autosam.training.run import devices
from autosam.training.run.devices import (
    clip_gradients,
    diverged,
    ends_together,
    make_fabric,
    memory_advice,
    peak_memory,
    prepare,
    reproducible,
)
from autosam.training.run.run_folder import CHECKPOINT, MODEL, TRAIN_LOG

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def message(error: pytest.ExceptionInfo[AutosamError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# What is refused


def test_float16_wants_a_gpu(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training\.precision=float16 wants a GPU; on a CPU set") as error:
        train(small_config("training.precision=float16"), [labeled_image(0)], [], out=tmp_path / "run")
    message(error)
    assert not (tmp_path / "run").exists()


def test_more_gpus_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match="--devices 3 were asked for, this machine has 2; give fewer") as error:
        make_fabric(GPU, devices=3, precision="float32")
    message(error)


def test_one_gpu_by_its_number_or_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    with pytest.raises(ConfigError, match="--device cuda:1 is one device and --devices 2 are several") as error:
        make_fabric(torch.device("cuda:1"), devices=2, precision="float32")
    message(error)


@pytest.mark.parametrize(
    ("precision", "plugin"), [("float32", "32-true"), ("bfloat16", "bf16-mixed"), ("auto", None)]
)
def test_a_fabric_on_the_cpu(precision: Any, plugin: str | None) -> None:
    fabric = make_fabric(CPU, devices=1, precision=precision)
    assert (fabric.device, fabric.world_size) == (CPU, 1)
    assert fabric.strategy.precision.precision in ("32-true", "bf16-mixed")
    if plugin is not None:
        assert fabric.strategy.precision.precision == plugin


def test_advice_where_memory_is_short() -> None:
    with (
        pytest.raises(AutosamError, match=r"set training\.batch_size below 4, with training\.accumulate") as error,
        memory_advice(4),
    ):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.\nTried to allocate")
    assert "training.checkpoint_blocks=true" in message(error)
    with pytest.raises(AutosamError) as error, memory_advice(1):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
    assert "batch_size" not in message(error)


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_the_memory_that_was_needed(monkeypatch: pytest.MonkeyPatch, platform: str, unit: int) -> None:
    assert peak_memory(CPU) > 50e6  # the program alone
    monkeypatch.setattr(devices.sys, "platform", platform)
    monkeypatch.setattr(resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=3000))
    assert peak_memory(CPU) == 3000 * unit


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_advice_where_a_loss_is_no_number(tmp_path: Path, precision: Any) -> None:
    fabric = make_fabric(CPU, devices=1, precision=precision)
    early, late = (str(diverged("loss is nan", 7, fabric, kept=kept)) for kept in (None, tmp_path))
    assert early.startswith("the loss is nan at step 7, before the first checkpoint; start again with ")
    assert late.startswith(f"the loss is nan at step 7; the last checkpoint is kept in {tmp_path}: ")
    for text in (early, late):
        assert text.endswith("a lower training.learning_rate and training.generator_learning_rate")
        # What the run has already is no way out.
        assert ("training.precision=float32" in text) is (precision == "bfloat16")
    assert ("resume" in late) is (precision == "bfloat16")


# Gradients and randomness


def test_each_part_is_clipped_by_its_own_norm() -> None:
    fabric = make_fabric(CPU, devices=1, precision="float32")
    large, small = nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False)
    optimizer = torch.optim.SGD([*large.parameters(), *small.parameters()])
    large.weight.grad, small.weight.grad = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.3, 0.4]])
    assert clip_gradients(fabric, optimizer, (large, None, small), 1.0) == pytest.approx(5.0)
    assert large.weight.grad.tolist()[0] == pytest.approx([0.6, 0.8])
    assert small.weight.grad.tolist()[0] == pytest.approx([0.3, 0.4])
    small.weight.grad = torch.tensor([[float("nan"), 0.0]])
    assert np.isnan(clip_gradients(fabric, optimizer, (large, small), 1.0))
    small.weight.grad = torch.tensor([[float("inf"), 0.0]])
    assert not np.isfinite(clip_gradients(fabric, optimizer, (small, large), 1.0))


def test_torchs_generator_is_seeded_by_the_step_and_put_back() -> None:
    torch.manual_seed(8)
    state = torch.get_rng_state()
    drawn = []
    for seed, step in ((0, 1), (0, 1), (0, 2), (1, 1)):
        torch.rand(3)
        before = torch.get_rng_state()
        with reproducible(seed, step, CPU):
            drawn.append(torch.rand(1).item())
        assert torch.equal(torch.get_rng_state(), before)
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 3
    torch.set_rng_state(state)


# Compiled


def test_what_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda part: compiled.append(part))
    config = small_config()
    model = JointModel(build_networks(config.model), prompts=config.prompts, training=config.training)
    prepare(model, device=CPU, compiled=False)
    assert compiled == []
    assert model.generator.unet.segmentation_head[0].weight.is_contiguous(memory_format=torch.channels_last)
    prepare(model, device=CPU, compiled=True)
    assert compiled == [model.generator, *model.sam.image_encoder.blocks]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of torch's compiler are its own
@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="torch compiles with C++ here")
def test_a_compiled_step_has_the_same_loss() -> None:
    config = small_config("training.corrections=0", "model.generator=null", "prompts.method=user")
    losses = []
    for compiled in (False, True):
        model = JointModel(build_networks(config.model), prompts=config.prompts, training=config.training)
        del model.sam.image_encoder.blocks[1:]
        prepare(model, device=CPU, compiled=compiled)
        AveragedModel(model)  # as a run makes it: of a copy
        loss = total_loss(model(*disc_tiles(), user_prompts=[(), ()], predicted_share=0.0, seed=(0, 0)))
        loss.backward()
        losses.append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


# Two processes


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def launched(processes: list[Any], *, first: bool) -> Any:
    launcher = SimpleNamespace(procs=processes) if first else None
    return SimpleNamespace(is_global_zero=first, strategy=SimpleNamespace(launcher=launcher))


@pytest.mark.parametrize("fault", [ConfigError("so it is"), KeyboardInterrupt()])
def test_the_first_process_ends_the_others_when_it_fails(fault: BaseException) -> None:
    other = sleeper()
    watched = [other]
    with pytest.raises(type(fault)), ends_together(launched(watched, first=True)):
        raise fault
    assert other.returncode is not None
    assert other.returncode < 0
    # Fabric kills this process where one that it watches was killed.
    assert watched == []


def test_nothing_ends_where_nothing_fails() -> None:
    other = sleeper()
    with ends_together(launched([other], first=True)):
        pass
    assert other.poll() is None
    other.kill()
    other.wait()
    with pytest.raises(ConfigError), ends_together(make_fabric(CPU, devices=1, precision="float32")):
        raise ConfigError("alone")


def test_another_process_lets_the_first_one_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(devices.time, "sleep", waited.append)
    with pytest.raises(ConfigError), ends_together(launched([], first=False)):
        raise ConfigError("so it is")
    assert waited == [devices.GRACE]


def run_program(arguments: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program of several processes to its end, one thread each."""
    return subprocess.run(
        arguments,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        **options,
    )


@pytest.mark.slow
def test_a_full_disk_ends_both_processes_with_one_line(tmp_path: Path) -> None:
    data = write_discs(tmp_path / "data", 3)
    sets = [part for override in (*SMALL, "training.steps=3") for part in ("--set", override)]
    program = str(Path(sysconfig.get_path("scripts"), "autosam"))

    def small_files() -> None:
        # Enough for the settings, not for a checkpoint.
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    began = time.monotonic()
    arguments = [
        program,
        "train",
        str(data),
        "-o",
        str(tmp_path / "run"),
        "--device",
        "cpu",
        "--devices",
        "2",
        *sets,
    ]
    run = run_program(arguments, preexec_fn=small_files)
    assert run.returncode == 2, run.stderr
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("autosam: ")]
    assert "last.pt cannot be written" in line
    assert "Traceback" not in run.stderr
    assert time.monotonic() - began < 300


def test_where_there_is_no_resource_module_the_log_says_zero() -> None:
    # As on Windows.
    program = (
        "import sys, torch\n"
        "sys.modules['resource'] = None\n"
        "from autosam.training import loop\n"
        "from autosam.training.run.devices import peak_memory\n"
        "assert loop.train and peak_memory(torch.device('cpu')) == 0\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.slow
def test_the_others_wait_for_the_only_validation(tmp_path: Path) -> None:
    """The first process alone keeps a model, and the others must not miss it meanwhile."""
    data = write_discs(tmp_path / "data", 3)
    sets = [part for override in (*SMALL, "training.steps=1") for part in ("--set", override)]
    program = tmp_path / "program.py"
    program.write_text(
        "import time\n"
        "from autosam.cli import main\n"
        "from autosam.training import loop\n"
        "from autosam.training.run.devices import GRACE\n"
        "plain = loop.validate\n"
        "def slow(*arguments, **options):\n"
        "    time.sleep(GRACE + 10)\n"
        "    return plain(*arguments, **options)\n"
        "loop.validate = slow\n"
        "main()\n",
        encoding="utf-8",
    )
    out = str(tmp_path / "run")
    run = run_program(
        [sys.executable, str(program), "train", str(data), "-o", out, "--device", "cpu", "--devices", "2", *sets]
    )
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "run" / MODEL).is_file()
    assert "is gone" not in run.stderr


def rows(folder: Path) -> list[dict[str, float]]:
    with (folder / TRAIN_LOG).open(newline="", encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@pytest.mark.slow
def test_two_processes_learn_what_one_does_with_twice_the_batch(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base.safetensors")
    data = write_discs(tmp_path / "data", 3)
    overrides = [
        "model.sam.image_size=64",
        f"model.sam.base={base}",
        "model.sam.encoder=lora",
        "training.steps=3",
        "training.precision=float32",
        "training.workers=0",
        "training.validate_every=2",
        "training.learning_rate=1e-4",
        "decode.precision=float32",
    ]
    sets = [part for override in [*overrides, "training.batch_size=1"] for part in ("--set", override)]
    command = [
        str(Path(sysconfig.get_path("scripts"), "autosam")),
        "train",
        str(data),
        "-o",
        str(tmp_path / "two"),
    ]
    run = run_program([*command, "--config", "medsam", "--device", "cpu", "--devices", "2", *sets])
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    assert run.stderr.count("wrote ") == 1, run.stderr
    assert run.stderr.count("trained parameters: ") == 1

    from autosam.training.samples.load_images import load_part

    config = load_config("medsam", overrides=[*overrides, "training.batch_size=2"])
    labeled_images = [load_part(data, config, part) for part in ("train", "val")]
    train(config, *labeled_images, out=tmp_path / "one")
    two, one = rows(tmp_path / "two"), rows(tmp_path / "one")
    assert [row["step"] for row in two] == [1, 2, 3]
    assert two[0]["loss"] == pytest.approx(one[0]["loss"], abs=2e-5)
    for together, alone in zip(two, one, strict=True):
        assert together["matched"] == alone["matched"]
        assert together["loss"] == pytest.approx(alone["loss"], rel=1e-3)
    assert one[0]["loss"] != pytest.approx(one[2]["loss"], rel=1e-2)
    # Only one of the processes wrote.
    assert {path.name for path in (tmp_path / "two").iterdir()} == {
        path.name for path in (tmp_path / "one").iterdir()
    }
    states = [torch.load(tmp_path / name / CHECKPOINT, weights_only=True) for name in ("two", "one")]
    assert states[0]["model"].keys() == states[1]["model"].keys()
    assert (tmp_path / "two" / MODEL).stat().st_size == pytest.approx(
        (tmp_path / "one" / MODEL).stat().st_size, rel=0.01
    )
