"""The run record: what it keeps, what it refuses, and what two processes make of it."""

import json

import pytest

from autosam.config import load_config
from autosam.errors import ConfigError
from autosam.pipeline import record as module
from autosam.pipeline.claims import Claims
from autosam.pipeline.record import RunRecord

SETTINGS = load_config().model_dump(mode="json", exclude={"training", "data"})
OTHER = load_config(overrides=["merge.min_size=70"]).model_dump(mode="json", exclude={"training", "data"})


def open_record(folder, settings=SETTINGS, *, keep=True, options=None, **rest):
    return RunRecord.open(
        folder, settings=settings, options=options or {}, model="m", model_sha256="ab", keep=keep, **rest
    )


def content(folder):
    return json.loads((folder / "autosam_run.json").read_text(encoding="utf-8"))


def done(name):
    return {"input": f"/in/{name}.tif", "instances": 2}


def test_two_records_of_one_folder_keep_both(tmp_path):
    with open_record(tmp_path) as mine, open_record(tmp_path) as yours:
        mine.add("a", done("a"))
        yours.add("b", done("b"))
        mine.write()
        # At once, not only at the end.
        assert yours.finished("a") == {"run": 1, **done("a")}
        yours.write()
        assert mine.finished("b") == {"run": 1, **done("b")}
        mine.add("c", done("c"))
    assert sorted(content(tmp_path)["images"]) == ["a", "b", "c"]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["autosam_run.json", "summary.csv"]


def test_a_record_of_other_settings_is_refused_while_somebody_works(tmp_path):
    with Claims(tmp_path) as mine, open_record(tmp_path, busy=mine.others):
        with (
            Claims(tmp_path) as yours,
            pytest.raises(ConfigError, match=r"merge\.min_size.*process \d+ on .* is writing"),
        ):
            open_record(tmp_path, OTHER, busy=yours.others)
        # The same settings are welcome.
        with Claims(tmp_path) as yours, open_record(tmp_path, busy=yours.others):
            pass
    # Nothing was done, so that nothing is left that binds anybody.
    with open_record(tmp_path, OTHER):
        pass
    assert list(tmp_path.iterdir()) == []


def test_two_runs_of_other_settings_have_numbers(tmp_path):
    with open_record(tmp_path) as mine:
        mine.add("a", done("a"))
    with open_record(tmp_path, OTHER, keep=False) as yours:
        yours.add("b", done("b"))
        assert yours.finished("a") is None
        assert yours.entry("a") == {"run": 1, **done("a")}
    written = content(tmp_path)
    assert written["run"] == 2
    assert list(written["earlier_runs"]) == ["1"]
    assert written["earlier_runs"]["1"]["settings"] == SETTINGS
    assert {name: entry["run"] for name, entry in written["images"].items()} == {"a": 1, "b": 2}
    # The first settings come back under their number.
    with open_record(tmp_path, keep=False) as again:
        assert again.finished("a") is not None
        again.add("b", done("b"))
    written = content(tmp_path)
    assert (written["run"], written["earlier_runs"]) == (1, {})
    assert written["settings"] == SETTINGS


def test_an_option_that_an_old_record_does_not_know_was_not_given(tmp_path):
    with open_record(tmp_path, options={"diameter": 3}) as record:
        record.add("a", done("a"))
    with open_record(tmp_path, options={"diameter": 3, "inside": None}) as record:
        assert record.finished("a") is not None
    with pytest.raises(ConfigError, match=r"options\.inside"):
        open_record(tmp_path, options={"diameter": 3, "inside": "ab"})


def test_a_record_that_is_taken_away_in_between_is_made_again(tmp_path):
    with open_record(tmp_path) as record:
        record.add("a", done("a"))
        record.write()
        (tmp_path / "autosam_run.json").unlink()
        assert record.finished("a") is None
        record.add("b", done("b"))
    assert content(tmp_path)["images"] == {"b": {"run": 1, **done("b")}}


def test_it_is_written_from_time_to_time(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with open_record(tmp_path) as record:
        assert not record.add("a", done("a"))
        assert content(tmp_path)["images"] == {}
        now[0] = 3.0
        assert record.add("b", done("b"))
        assert sorted(content(tmp_path)["images"]) == ["a", "b"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"images": {}}', '{"images": {"a": 1}, "settings": {}}', "\xff"]
)
def test_a_damaged_record(tmp_path, text):
    (tmp_path / "autosam_run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"is damaged; choose another folder, or add --overwrite"):
        open_record(tmp_path)
    with open_record(tmp_path, keep=False) as record:
        record.add("a", done("a"))
    assert content(tmp_path)["images"] == {"a": {"run": 1, **done("a")}}


def test_a_failure_alone_leaves_nothing_and_binds_nobody(tmp_path):
    with open_record(tmp_path) as record:
        record.add("a", {"input": "/in/a.tif", "error": "it is damaged"})
    assert list(tmp_path.iterdir()) == []
    with open_record(tmp_path) as record:
        for name in "ab":
            record.add(name, {"input": f"/in/{name}.tif", "error": "it is damaged"})
    with open_record(tmp_path, OTHER) as record:
        assert record.finished("a") is None
