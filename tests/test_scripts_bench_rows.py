"""The rows of the speed table, with made-up seconds in the place of those of other processes."""

import json

import numpy as np
import pytest
from script_modules import load_script

bench_harness = load_script("bench_harness")
bench_images = load_script("bench_images")
bench_rows = load_script("bench_rows")
bench_speed = load_script("bench_speed")


class Canned(bench_harness.Bench):
    """Answers of `bench_segment.py` and of the other scripts that are known."""

    asked: tuple = ()
    runs: tuple = ([2.0, 4.0, 3.0],)
    answers: dict = {}  # noqa: RUF012

    def script(self, name, *arguments, python=""):
        self.asked = (*self.asked, (name, arguments))
        if name in self.answers:
            return self.answers[name]
        if name == "bench_peers.py":
            star = {f"stardist {side} {part}": 0.5 for side in (256, 1024) for part in ("network", "whole")}
            return {"versions": {"stardist": "0.9"}, "seconds": {**star, "cellpose tile": 10.0}}
        images = arguments[: arguments.index("--model")]
        runs = [self.runs[number % len(self.runs)] for number in range(len(images))]
        return {
            "images": [
                {"image": i, "megapixels": 0.5, "objects": 7, "runs": r} for i, r in zip(images, runs, strict=True)
            ]
        }


@pytest.fixture
def bench(tmp_path):
    return Canned(tmp_path, repeats=3, peers="python")


def values(rows):
    return {row.name: row.value for row in rows}


def test_nuclei_beside_both_peers(bench):
    rows = list(bench_rows.nuclei_beside_peers(bench))
    assert values(rows) == {
        "nuclei_256_stardist": 4,
        "nuclei_256_cellpose": 0.2,
        "nuclei_1024_stardist": 4,
        "nuclei_1024_cellpose": 2 / 160,
    }
    assert [row.wanted for row in rows] == [2, 1 / 25, 3, 1 / 25]
    assert bench.peer_versions == {"stardist": "0.9"}
    assert [name for name, _ in bench.asked].count("bench_peers.py") == 2, "once for each package"
    assert np.load(bench.folder / "nuclei_1024.npy").shape == (1024, 1024)


def test_busy_compares_medians_while_the_loops_run(bench, monkeypatch):
    running = []

    class Loop:
        def __init__(self, command):
            running.append(self)

        def kill(self):
            running.remove(self)

        def wait(self):
            pass

    def segment(model, images):
        return [{"runs": [2.0, 4.0, 30.0] if running else [2.0, 1.0, 9.0]}]

    monkeypatch.setattr(bench_harness.subprocess, "Popen", Loop)
    monkeypatch.setattr(bench, "segment", segment)
    (row,) = bench_rows.busy(bench)
    assert (row.value, row.autosam_seconds, row.peer_seconds) == (2, 4, 2)
    assert not running


def test_busy_loops_run_until_their_block_ends(monkeypatch):
    loops, popen = [], bench_harness.subprocess.Popen
    monkeypatch.setattr(
        bench_harness.subprocess, "Popen", lambda command: loops.append(popen(command)) or loops[-1]
    )
    with bench_harness.busy_loops(2):
        assert [loop.poll() for loop in loops] == [None, None]
    assert all(loop.poll() for loop in loops)


def test_the_em_crop_over_nuclei(bench):
    bench.runs = ([9.0, 6.0], [2.0, 3.0])
    (row,) = bench_rows.em_crop(bench)
    assert row.value == 3
    assert np.load(bench.folder / "em_256.npy").shape == (256, 256)


def test_real_images_by_the_megapixel(bench, tmp_path):
    bench.data = tmp_path / "data"
    for number, name in enumerate(bench_images.REAL):
        with pytest.raises(bench_harness.SkippedError, match=f"and {12 - number} more" if number < 12 else name):
            list(bench_rows.real_images(bench))
        (bench.data / name).parent.mkdir(parents=True, exist_ok=True)
        (bench.data / name).touch()
    bench.runs = ([1.0, 2.0], [2.0, 0.5], [8.0, 4.0])
    assert values(bench_rows.real_images(bench)) == {"nuclei_real_median": 2, "nuclei_real_largest": 8}


def test_mito_in_both_precisions(bench):
    rows = list(bench_rows.mito_beside_stardist(bench))
    assert values(rows) == {"mito_stardist_float32": 4, "mito_stardist_bfloat16": 4}
    settings = [given[given.index("--set") + 1] for name, given in bench.asked if name == "bench_segment.py"]
    assert settings == ["decode.precision=float32", "decode.precision=bfloat16"]


def test_the_grid_of_points_and_the_memory(bench):
    figures = {
        name: {"seconds": seconds, "objects": 20} for name, seconds in (("autosam", 1.0), ("autosam float32", 2.0))
    }
    figures["SamAutomaticMaskGenerator"] = {"seconds": 40.0, "objects": 0}
    bench.answers = {
        "bench_auto.py": {"figures": figures},
        "bench_memory.py": {"drawn": 1000, "beyond_model_gb": 0.25, "seconds": 50.0},
    }
    assert values(bench_rows.automatic(bench)) == {"auto_float32": 1 / 20, "auto": 1 / 40}
    assert values(bench_rows.memory(bench)) == {"memory_4096": 250}


def test_vit_b_over_both_encoders_and_its_prompts_over_those_of_the_package(bench):
    encoders = {"image": 6.0, "encoder": 4.0, "package's encoder": 5.0}
    ways = {"SamPredictor": 64.0, "whole": 32.0, "window 12": 4.0}
    bench.answers = {
        "bench_encoder.py": {"seconds": encoders},
        "bench_decoder.py": {"figures": {way: {"seconds": seconds} for way, seconds in ways.items()}},
    }
    assert values(bench_rows.encoder(bench)) == {"vit_b_over_package_encoder": 1.2, "vit_b_over_own_encoder": 1.5}
    rows = list(bench_rows.decoder(bench))
    assert [(row.name, row.value, row.wanted) for row in rows[:2]] == [
        ("decoder_whole_float32", 1 / 2, None),
        ("decoder_window_12_float32", 1 / 16, 1 / 8),
    ]
    assert "`decode.window=12`" in rows[3].what


def test_many_objects_without_the_time_to_draw_them(bench):
    steps = [
        {"step": name, "seconds": seconds} for name, seconds in (("masks", 20.0), ("merge", 60.0), ("png", 40.0))
    ]
    bench.answers = {"bench_objects.py": {"seconds": 120.0, "peak_mb": 3000, "steps": steps}}
    assert values(bench_rows.objects(bench)) == {"objects_seconds": 100, "objects_memory": 3}


def test_start_takes_commands_and_imports_by_turns(bench, monkeypatch):
    ran = []
    monkeypatch.setattr(bench, "run", lambda command: ran.append(command[1]))
    rows = list(bench_rows.start(bench))
    assert [row.name for row in rows] == ["start_mito", "start_nuclei"]
    assert ran == 2 * ["segment", "segment", "-c", "-c", "segment", "-c", "segment", "-c"]


def test_what_a_row_lacks_is_told(tmp_path):
    bench = bench_harness.Bench(tmp_path)
    with pytest.raises(bench_harness.SkippedError, match="--peers PYTHON"):
        list(bench_rows.mito_beside_stardist(bench))
    with pytest.raises(bench_harness.SkippedError, match="--data FOLDER"):
        list(bench_rows.real_images(bench))
    with pytest.raises(bench_harness.SkippedError, match=r"needs scripts/no_such\.py"):
        bench.script("no_such.py")
    with pytest.raises(bench_harness.SkippedError, match=r"bench_segment\.py failed: .*No such file"):
        bench.segment("mito", [tmp_path / "none.npy"])


def test_a_run_saves_every_row_and_goes_on_after_one_that_lacks_something(tmp_path, monkeypatch, capsys):
    def one(bench):
        yield bench_harness.Row("one", "what", 1.0, "s", 2.0)
        assert json.loads(out.read_text())["rows"][0]["name"] == "one"
        yield bench_harness.Row("two", "what", 3.0, "s", 2.0)

    def lacking(bench):
        raise bench_harness.SkippedError("needs a thing")
        yield

    out = tmp_path / "speed.json"
    monkeypatch.setattr(bench_speed, "ROWS", {"lacking": lacking, "one": one})
    monkeypatch.setattr(bench_speed, "load", lambda: 0.1)
    assert bench_speed.main(["--json", str(out)]) == 1
    record = json.loads(out.read_text())
    assert [row["name"] for row in record["rows"]] == ["one", "two"]
    assert record["skipped"] == {"lacking": "needs a thing"}
    assert [line.endswith("MISSED") for line in capsys.readouterr().out.splitlines()] == [False, False, True]


def test_a_busy_machine_is_refused(tmp_path, monkeypatch, capsys):
    out = tmp_path / "speed.json"
    monkeypatch.setattr(bench_speed, "ROWS", {"none": lambda bench: iter(())})
    monkeypatch.setattr(bench_speed, "load", lambda: 3.0)
    assert bench_speed.main(["--json", str(out)]) == 2
    assert "the load is 3" in capsys.readouterr().err
    assert not out.exists()
    assert bench_speed.main(["--json", str(out), "--anyway"]) == 0
