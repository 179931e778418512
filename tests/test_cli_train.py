"""`autosam train` as a person runs it."""

import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from blobs import SMALL, write_discs

from autosam.cli import main
from autosam.cli.train import train
from autosam.config import load_config
from autosam.models.files.model_file import load_networks
from autosam.training.run.run_folder import CHECKPOINT, MODEL, TRAIN_LOG, VALIDATION_LOG

pytestmark = pytest.mark.usefixtures("few_windows")

STEPS = ("training.steps=4", "training.validate_every=2", "training.checkpoint_every=2")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_discs(tmp_path / "data [1]", 3)


class Command:
    """`autosam train`, in this process; gives the exit status and what was printed to stderr, or by a dry run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: object) -> tuple[int, str]:
        self._monkeypatch.setattr(sys, "argv", ["autosam", "train", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        printed = self._capsys.readouterr()
        if "--dry-run" not in arguments:
            assert printed.out == "", "stdout is for results"
        return int(end.value.code or 0), printed.out + printed.err

    def train(self, data: Path, out: Path, *overrides: str, flags: tuple[str, ...] = ()) -> tuple[int, str]:
        sets = [part for override in (*SMALL, *STEPS, *overrides) for part in ("--set", override)]
        return self(data, "-o", out, "--device", "cpu", *sets, *flags)

    def fault(self, data: Path, out: Path, *overrides: str, flags: tuple[str, ...] = ()) -> str:
        status, printed = self.train(data, out, *overrides, flags=flags)
        assert status == 2, printed
        assert "Traceback" not in printed
        assert not out.exists(), "something was written"
        last = printed.splitlines()[-1]
        assert last.startswith("autosam: ")
        return last


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(monkeypatch, capsys)


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_from_folders_to_a_model(command: Command, data: Path, tmp_path: Path, workers: int) -> None:
    out = tmp_path / "run [2]"
    status, printed = command.train(
        data, out, f"training.workers={workers}", "training.precision=bfloat16", flags=("--license", "CC0")
    )
    assert status == 0
    _, header = load_networks(out / MODEL)
    assert header.license == "CC0"
    assert (out / TRAIN_LOG).is_file()
    assert len((out / VALIDATION_LOG).read_text().splitlines()) == 3

    # readable in a log file: plain lines, one for each thing that happened
    lines = printed.splitlines()
    assert "\x1b" not in printed
    assert "\r" not in printed
    assert "bfloat16" not in printed
    assert lines[0] == "2 training and 1 validation images, 18 objects to learn from; on cpu"
    assert len(lines) == 5
    assert lines[1].startswith("step 0: trained parameters: image_encoder ")
    assert lines[2].startswith("step 2: ap50 ")
    assert lines[3].startswith("step 4: ap50 ")
    assert lines[-1] == f"wrote {out / MODEL}; use it with: autosam segment IMAGE --model {out / MODEL} -o RESULTS"


def ctrl_c() -> None:
    # Not the signal: a job in the background ignores it.
    raise KeyboardInterrupt


def end_of_time() -> None:
    signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("stop", [ctrl_c, end_of_time])
def test_stopped_and_resumed(
    command: Command, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: Callable[[], None]
) -> None:
    from autosam.training import loop

    validate, calls = loop.validate, []

    def interrupted(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            stop()
        return validate(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(loop, "validate", interrupted)
        status, printed = command.train(data, tmp_path / "parts")
    assert status == 130
    assert "Traceback" not in printed
    says = f"autosam: interrupted; add --resume to go on from the last checkpoint in {tmp_path / 'parts'}"
    assert says in printed.splitlines()
    assert (tmp_path / "parts" / CHECKPOINT).is_file()
    before = contents(tmp_path / "parts")

    status, printed = command.train(data, tmp_path / "parts")
    assert status == 2
    assert "already holds a run; add --resume to go on" in printed.splitlines()[-1]
    assert contents(tmp_path / "parts") == before

    assert command.train(data, tmp_path / "parts", flags=("--resume",))[0] == 0
    log = (tmp_path / "parts" / TRAIN_LOG).read_text().splitlines()[1:]
    assert [line.partition(",")[0] for line in log] == ["1", "2", "3", "4"]
    load_networks(tmp_path / "parts" / MODEL)


def test_a_dry_run_says_what_would_be_trained_and_writes_nothing(
    command: Command, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    sets = [part for override in SMALL for part in ("--set", override)]
    status, printed = command(data, "--device", "cpu", "--dry-run", *sets)
    assert status == 0
    rows = {line.partition("  ")[0].strip(): line.split()[-2:] for line in printed.splitlines()}
    assert rows["part"] == ["parameters", "trained"]
    for part in ("image_encoder", "prompt_encoder", "mask_decoder", "all"):
        total, trained = (int(number.replace(",", "")) for number in rows[part])
        assert total >= trained > 0
    memory = ("weights", "gradients", "optimizer", "activations of 2 tiles")
    sizes = [int(rows[name][-1].replace(",", "")) for name in memory]
    together = int(rows["total, without the program itself"][-1].replace(",", ""))
    assert 0 < sum(sizes) <= together
    assert printed.splitlines()[-1] == "nothing was trained or written: --dry-run"
    assert command.train(data, tmp_path / "run", flags=("--dry-run",))[0] == 0
    assert not (tmp_path / "run").exists()
    assert contents(tmp_path) == before


def test_a_dry_run_finds_the_faults_of_the_run(command: Command, data: Path, tmp_path: Path) -> None:
    flags = ("--dry-run",)
    assert "training.steps=0" in command.fault(data, tmp_path / "run", "training.steps=0", flags=flags)
    assert "no folder" in command.fault(tmp_path / "gone", tmp_path / "run", flags=flags)
    text = command.fault(data, tmp_path / "run", "model.sam.encoder=frozen", flags=flags)
    assert "random weights cannot stay frozen" in text


def test_a_run_without_a_folder_is_refused(command: Command, data: Path) -> None:
    assert command(data, "--device", "cpu") == (2, "autosam: no folder for the run; give one with --output RUN\n")


def test_no_device_at_all_is_refused(command: Command, data: Path, tmp_path: Path) -> None:
    status, printed = command.train(data, tmp_path / "run", flags=("--devices", "0"))
    assert status == 2
    assert "--devices" in printed
    assert not (tmp_path / "run").exists()


RECIPES = ("joint", "sac", "adapter", "decoder", "medsam", "em_sam", "generator")


def test_the_recipes_of_the_help_are_those_that_come_along(command: Command, data: Path, tmp_path: Path) -> None:
    for name in RECIPES:
        load_config(name)
        assert re.search(rf"\b{name}\b", train.__doc__ or "")
    text = command.fault(data, tmp_path / "run", flags=("--config", "joint_vit_b"))
    assert "no config file or name 'joint_vit_b'" in text
    assert all(name in text for name in RECIPES)


def test_a_model_that_is_prompted_by_hand_says_so(command: Command, data: Path, tmp_path: Path) -> None:
    status, printed = command.train(
        data, tmp_path / "run", "model.generator=null", "prompts.method=user", "training.predicted_share=0"
    )
    assert status == 0, printed
    assert printed.splitlines()[-1].endswith("-o RESULTS --prompts TABLE.csv")
    assert load_networks(tmp_path / "run" / MODEL)[0].generator is None


def test_bad_data_folders(command: Command, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert f"no folder {tmp_path / 'gone' / 'images'}" in command.fault(tmp_path / "gone", out)
    (data / "labels" / "0.png").unlink()
    assert f"no labels 0 in {data / 'labels'}" in command.fault(data, out)
    (data / "images" / "0.png").write_bytes(b"\x89PNG, but cut short")
    write_discs(tmp_path / "other", 1)
    (tmp_path / "other" / "labels" / "0.png").rename(data / "labels" / "0.png")
    assert str(data / "images" / "0.png") in command.fault(data, out)
    empty = tmp_path / "empty"
    for name in ("images", "labels"):
        (empty / name).mkdir(parents=True)
    assert f"{empty / 'images'} holds no image" in command.fault(empty, out)


def test_bad_settings(command: Command, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    text = command.fault(data, out, "training.step=3", "training.batch_size=0", "seed=x")
    assert "3 wrong settings: " in text
    for path in (
        "training.step is unknown (did you mean training.steps?)",
        "training.batch_size=0: ",
        "seed='x': ",
    ):
        assert path in text
    assert "model.sam.image_size=70: Input should be a multiple of 16" in command.fault(
        data, out, "model.sam.image_size=70"
    )
    assert "decoder_channels has 3 entries for depth 4" in command.fault(data, out, "model.generator.depth=4")
    assert "random weights cannot stay frozen" in command.fault(data, out, "model.sam.encoder=frozen")
    assert "no generator can be built on encoder 'resnet19'" in command.fault(
        data, out, "model.generator.encoder=resnet19"
    )
    assert "no config file or name 'jointt'; did you mean joint?" in command.fault(
        data, out, flags=("--config", "jointt")
    )
    text = command.fault(data, out, "data.unlabeled=[gone]", "training.augment.spectrum=0.5")
    assert f"data.unlabeled: no file or folder {data / 'gone'}; correct it in the config" in text
    assert "holds no last.pt to resume" in command.fault(data, out, flags=("--resume",))


@pytest.mark.parametrize("device", ["nonsense", "cuda:99", "cpux"])
def test_a_device_that_is_not_there(command: Command, data: Path, tmp_path: Path, device: str) -> None:
    text = command.fault(data, tmp_path / "run", flags=("--device", device))
    assert f"device '{device}' " in text


def test_labels_without_objects(command: Command, data: Path, tmp_path: Path) -> None:
    # Every component is smaller than the smallest that counts.
    source = "[{name: data, images: images, labels: labels, components: true, min_size: 5000}]"
    text = command.fault(data, tmp_path / "run", f"data.sources={source}")
    assert "none of the 2 training images has an object; check the labels" in text


def test_an_output_folder_that_cannot_be(command: Command, data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "is a file; choose another output folder" in command.fault(data, tmp_path / "file" / "run")
