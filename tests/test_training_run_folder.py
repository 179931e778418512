"""The folder of a run: whole files or none, whatever ends it."""

import csv
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import yaml
from blobs import small_config

from autosam.config import Config, load_config
from autosam.errors import AutosamError, ConfigError, InputError, OutputError
from autosam.training.run.run_folder import CHECKPOINT, MODEL, SETTINGS, TRAIN_LOG, VALIDATION_LOG, RunFolder

CONFIG = small_config()


def message(error: pytest.ExceptionInfo[AutosamError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def state(step: int) -> dict[str, object]:
    """A checkpoint with an optimizer's state, of about 100 KB."""
    model = torch.nn.Linear(100, 80)
    optimizer = torch.optim.AdamW([{"params": model.parameters(), "part": "sam", "weight_decay": 0.1}])
    model(torch.ones(1, 100)).sum().backward()
    optimizer.step()
    return {
        "step": step,
        "best": 0.25,
        "fruitless": 1,
        "license": "",
        "model": model.state_dict(),
        "averaged": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "precision": {},
    }


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """Stop every file from growing, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# Starting and resuming


def test_a_new_run_writes_its_settings(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "deep" / "run", CONFIG, resume=False)
    assert load_config(run.path / SETTINGS) == CONFIG
    assert not run.has_checkpoint()


def test_a_run_is_not_started_twice(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, CONFIG, resume=False)
    run.save_checkpoint(state(1))
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(ConfigError, match="already holds a run; add --resume to go on") as error:
        RunFolder(tmp_path, small_config("seed=2"), resume=False)
    message(error)
    assert load_config(tmp_path / SETTINGS) == CONFIG
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_a_model_without_a_checkpoint_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / MODEL).write_bytes(b"somebody's model")
    with pytest.raises(ConfigError, match=r"already holds a model\.safetensors but no last\.pt") as error:
        RunFolder(tmp_path, CONFIG, resume=False)
    message(error)
    assert os.listdir(tmp_path) == [MODEL]


def test_logs_of_a_run_that_never_reached_a_checkpoint_make_way(tmp_path: Path) -> None:
    killed = RunFolder(tmp_path, CONFIG, resume=False)
    killed.append(TRAIN_LOG, {"step": 0, "loss": 9.0})
    killed.append(VALIDATION_LOG, {"step": 0, "ap50": 0.0})
    again = RunFolder(tmp_path, CONFIG, resume=False)
    again.append(TRAIN_LOG, {"step": 0, "loss": 1.0})
    assert rows(tmp_path / TRAIN_LOG) == [{"step": "0", "loss": "1.0"}]
    assert not (tmp_path / VALIDATION_LOG).exists()


def test_a_checkpoint_of_before_the_first_step_makes_way(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, CONFIG, resume=False)
    run.save_checkpoint(state(0))
    run.append(TRAIN_LOG, {"step": 1, "loss": 9.0})
    assert RunFolder(tmp_path, CONFIG, resume=True).load_checkpoint()["step"] == 0
    RunFolder(tmp_path, small_config("seed=2"), resume=False)
    assert os.listdir(tmp_path) == [SETTINGS]
    # With a model beside it, something would be lost.
    run.save_checkpoint(state(0))
    (tmp_path / MODEL).touch()
    with pytest.raises(ConfigError, match="already holds a run; add --resume to go on"):
        RunFolder(tmp_path, CONFIG, resume=False)


@pytest.mark.parametrize("resume", [False, True])
def test_what_killed_writers_left_is_taken_away(tmp_path: Path, resume: bool) -> None:
    RunFolder(tmp_path, CONFIG, resume=False).save_checkpoint(state(3 if resume else 0))
    left = [tmp_path / ".last.0123abcd.pt", tmp_path / ".model.0123abcd.safetensors"]
    for path in (*left, tmp_path / ".last.pt", tmp_path / "mine.pt"):
        path.touch()
    RunFolder(tmp_path, CONFIG, resume=resume, first=False)
    assert all(path.exists() for path in left)
    RunFolder(tmp_path, CONFIG, resume=resume)
    kept = {SETTINGS, ".last.pt", "mine.pt"} | ({CHECKPOINT} if resume else set())
    assert set(os.listdir(tmp_path)) == kept


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no last\.pt to resume; leave --resume away"):
        RunFolder(tmp_path / "gone", CONFIG, resume=True)
    assert not (tmp_path / "gone").exists()


def test_a_run_is_resumed_with_its_own_settings(tmp_path: Path) -> None:
    RunFolder(tmp_path, CONFIG, resume=False).save_checkpoint(state(3))
    assert RunFolder(tmp_path, CONFIG, resume=True).load_checkpoint()["step"] == 3
    other = small_config("training.steps=7", "seed=1", "training.augment.blur=0.0", "prompts.box=false")
    with pytest.raises(ConfigError) as error:
        RunFolder(tmp_path, other, resume=True)
    assert "has other settings for prompts.box, seed, training.augment.blur, training.steps;" in message(error)
    assert load_config(tmp_path / SETTINGS) == CONFIG


def test_precision_and_workers_may_change_and_are_written_down(tmp_path: Path) -> None:
    RunFolder(tmp_path, CONFIG, resume=False).save_checkpoint(state(3))
    other = small_config("training.precision=bfloat16", "training.workers=3")
    RunFolder(tmp_path, other, resume=True)
    assert load_config(tmp_path / SETTINGS) == other


def test_a_setting_that_is_newer_than_the_run_counts_as_its_default(tmp_path: Path) -> None:
    RunFolder(tmp_path, CONFIG, resume=False).save_checkpoint(state(3))
    old = yaml.safe_load((tmp_path / SETTINGS).read_text())
    del old["training"]["soft_mask"], old["merge"]
    (tmp_path / SETTINGS).write_text(yaml.safe_dump(old))
    RunFolder(tmp_path, CONFIG, resume=True)
    assert Config().training.soft_mask


@pytest.mark.parametrize("content", [None, b"", b"[1]", b"a: [", b"\xff\xfe"])
def test_settings_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    RunFolder(tmp_path, CONFIG, resume=False).save_checkpoint(state(3))
    (tmp_path / SETTINGS).unlink()
    if content is not None:
        (tmp_path / SETTINGS).write_bytes(content)
    with pytest.raises(ConfigError, match=r"the run's settings .*config\.yaml cannot be read") as error:
        RunFolder(tmp_path, CONFIG, resume=True)
    message(error)


def test_of_several_processes_the_first_one_writes(tmp_path: Path) -> None:
    other = RunFolder(tmp_path / "run", CONFIG, resume=False, first=False)
    other.append(TRAIN_LOG, {"step": 1, "loss": 1.0})
    other.save_checkpoint(state(1))
    other.cut_log(TRAIN_LOG, 0)
    assert not (tmp_path / "run").exists()
    RunFolder(tmp_path / "run", CONFIG, resume=False).save_checkpoint(state(3))
    # It goes on from what the first one wrote, whatever it finds in its own way.
    other = RunFolder(tmp_path / "run", small_config("seed=5"), resume=True, first=False)
    assert other.load_checkpoint()["step"] == 3
    assert load_config(tmp_path / "run" / SETTINGS) == CONFIG


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        RunFolder(tmp_path / "file", CONFIG, resume=False)


# Checkpoints


def test_a_checkpoint_comes_back_without_running_code(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, CONFIG, resume=False)
    saved = state(5)
    run.save_checkpoint(saved)
    loaded = run.load_checkpoint()
    assert (loaded["step"], loaded["best"]) == (5, 0.25)
    assert loaded["optimizer"]["param_groups"] == saved["optimizer"]["param_groups"]  # type: ignore[index]
    assert loaded["optimizer"]["param_groups"][0]["part"] == "sam"
    assert torch.equal(loaded["model"]["weight"], saved["model"]["weight"])  # type: ignore[index]
    run.save_checkpoint(state(6))
    assert run.load_checkpoint()["step"] == 6
    assert sorted(os.listdir(tmp_path)) == [SETTINGS, CHECKPOINT]


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, CONFIG, resume=False)
    run.save_checkpoint(state(5))
    before = (tmp_path / CHECKPOINT).read_bytes()
    for limit in (0, 1000, len(before) // 2, len(before) - 1):
        with file_size_limit(limit), pytest.raises(OutputError, match=r"last\.pt cannot be written") as error:
            run.save_checkpoint(state(6))
        message(error)
        assert (tmp_path / CHECKPOINT).read_bytes() == before
        assert sorted(os.listdir(tmp_path)) == [SETTINGS, CHECKPOINT]
    assert run.load_checkpoint()["step"] == 5


class Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("hacked",)


def test_damaged_and_foreign_checkpoints_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = RunFolder(tmp_path, CONFIG, resume=False)
    run.save_checkpoint(state(5))
    whole = (tmp_path / CHECKPOINT).read_bytes()
    for content in (
        b"",
        b"x",
        whole[:100],
        whole[: len(whole) // 2],
        b"\x80\x02}q\x00.",
        b"PK\x03\x04" + bytes(99),
    ):
        (tmp_path / CHECKPOINT).write_bytes(content)
        with pytest.raises(InputError, match=r"last\.pt (cannot be read|is no checkpoint)") as error:
            run.load_checkpoint()
        message(error)
    for foreign in ({"step": 1}, [1], Code(), {"step": Code()}):
        torch.save(foreign, tmp_path / CHECKPOINT)
        with pytest.raises(InputError, match=r"last\.pt (cannot be read|is no checkpoint)"):
            run.load_checkpoint()
    assert not (tmp_path / "hacked").exists()


# Logs


def test_a_log_is_cut_where_the_run_goes_on(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, CONFIG, resume=False)
    for step in range(1, 6):
        run.append(TRAIN_LOG, {"step": step, "loss": step / 2})
    run.cut_log(TRAIN_LOG, 3)
    run.append(TRAIN_LOG, {"step": 4, "loss": 9})
    assert (tmp_path / TRAIN_LOG).read_bytes() == b"step,loss\r\n1,0.5\r\n2,1.0\r\n3,1.5\r\n4,9\r\n"
    run.cut_log(VALIDATION_LOG, 3)
    assert not (tmp_path / VALIDATION_LOG).exists()


@pytest.mark.parametrize("torn", [b"1", b"12", b"12,0", b"12,0.5", b"12,0.5\r", b"\x00\x00"])
def test_a_torn_last_line_is_dropped(tmp_path: Path, torn: bytes) -> None:
    run = RunFolder(tmp_path, CONFIG, resume=False)
    run.append(TRAIN_LOG, {"step": 10, "loss": 1})
    run.append(TRAIN_LOG, {"step": 11, "loss": 1})
    with (tmp_path / TRAIN_LOG).open("ab") as file:
        file.write(torn)
    run.cut_log(TRAIN_LOG, 12)
    run.append(TRAIN_LOG, {"step": 12, "loss": 2})
    assert [row["step"] for row in rows(tmp_path / TRAIN_LOG)] == ["10", "11", "12"]


@pytest.mark.parametrize("content", [b"", b"st", b"step,loss"])
def test_a_log_without_a_whole_header_starts_again(tmp_path: Path, content: bytes) -> None:
    run = RunFolder(tmp_path, CONFIG, resume=False)
    (tmp_path / TRAIN_LOG).write_bytes(content)
    run.cut_log(TRAIN_LOG, 0)
    run.append(TRAIN_LOG, {"step": 0, "loss": 2})
    assert rows(tmp_path / TRAIN_LOG) == [{"step": "0", "loss": "2"}]


def test_a_log_with_only_its_header_keeps_it(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, CONFIG, resume=False)
    run.append(TRAIN_LOG, {"step": 5, "loss": 1})
    for _ in range(2):
        run.cut_log(TRAIN_LOG, 0)
    run.append(TRAIN_LOG, {"step": 0, "loss": 2})
    assert rows(tmp_path / TRAIN_LOG) == [{"step": "0", "loss": "2"}]


def test_a_log_keeps_the_columns_that_it_began_with(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, CONFIG, resume=False)
    run.append(TRAIN_LOG, {"step": 1, "gone": 2, "loss": 3})
    # As a later autosam, that resumes the run, would log.
    run.append(TRAIN_LOG, {"step": 2, "new": 4, "loss": 5})
    assert (tmp_path / TRAIN_LOG).read_bytes() == b"step,gone,loss\r\n1,2,3\r\n2,,5\r\n"


def test_a_log_of_somebody_else_is_refused(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, CONFIG, resume=False)
    for content in (b"name,loss\r\na,1\r\n", b"step,loss\r\nfirst,1\r\n"):
        (tmp_path / TRAIN_LOG).write_bytes(content)
        with pytest.raises(InputError, match=r"log\.csv is no log of autosam train"):
            run.cut_log(TRAIN_LOG, 3)
        assert (tmp_path / TRAIN_LOG).read_bytes() == content


def test_a_log_on_a_full_disk(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, CONFIG, resume=False)
    run.append(TRAIN_LOG, {"step": 0, "loss": 1})
    with (
        file_size_limit(12),
        pytest.raises(OutputError, match=r"cannot write .*log\.csv: File too large") as error,
    ):
        run.append(TRAIN_LOG, {"step": 1, "loss": 1})
    message(error)
