"""The study of recipes in laboratories that they have never seen: training, counting, tables and thresholds."""

import csv
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from blobs import SMALL, discs, labeled_image
from memory_store import write_store
from script_modules import load_script
from small_models import GENERATOR_ALONE, write_model

from autosam import Segmenter, cli
from autosam.config import load_config
from autosam.data.store import Store
from autosam.images import write_labels, write_png
from autosam.metrics import average_precision
from autosam.training.samples.load_images import load_part

pytestmark = pytest.mark.usefixtures("few_windows")

study_sources = load_script("study_sources")
sources_data = load_script("sources_data")
sources_log = load_script("sources_log")
sources_peer = load_script("sources_peer")
sources_runs = load_script("sources_runs")
sources_table = load_script("sources_table")
sources_tune = load_script("sources_tune")

NAMES = ("bright", "dim", "small")


def row(source, image, objects, predicted, tp, **changed):
    """Make a row whose matches are the same at each threshold."""
    known = {"recipe": "R", "without": source, "setting": "", "place": "abroad", "settings": "s", "model": "m"}
    known |= {"date": "2026-01-01", "train_cpu_s": float("nan")} | changed
    return sources_log.Row(
        source=source, image=image, objects=objects, predicted=predicted, tp=(tp,) * 10, **known
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three sources of three small images each."""
    folder = tmp_path_factory.mktemp("data")
    for number, name in enumerate(NAMES):
        for part in ("images", "labels"):
            (folder / name / part).mkdir(parents=True)
        for seed in range(3):
            image, labels = discs(10 * number + seed, 64)
            write_png(folder / name / "images" / f"{seed}.png", image // (1 + number))
            write_labels(folder / name / "labels" / f"{seed}.png", labels)
    return folder


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """Two steps of a small generator."""
    settings = load_config(
        overrides=[*SMALL, *GENERATOR_ALONE, "tiles.size=64", "training.steps=2", "training.previews=0"]
    )
    content = settings.model_dump(mode="json")
    content["data"]["sources"] = [
        {"name": name, "images": f"{name}/images", "labels": f"{name}/labels"} for name in NAMES
    ]
    path = tmp_path_factory.mktemp("recipes") / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def refused(capsys, *arguments):
    """Run a command that has to be refused, and give its line."""
    assert study_sources.main([str(argument) for argument in arguments]) == 2
    line = capsys.readouterr().err.strip()
    assert "\n" not in line
    return line.removeprefix("study_sources: ")


def run(*arguments):
    assert study_sources.main([str(argument) for argument in arguments]) == 0


@pytest.fixture
def in_process(monkeypatch):
    """Run `autosam train` in this process, whose imports are done."""

    class Ended:
        def __init__(self, command, **_):
            assert command[:2] == [sys.executable, "-c"]
            monkeypatch.setattr(sys, "argv", command[2:])
            try:
                cli.main()
            except SystemExit as stop:
                self.code = stop.code or 0
            else:
                self.code = 0

        def poll(self):
            return self.code

    monkeypatch.setattr(sources_runs.subprocess, "Popen", Ended)


@pytest.mark.usefixtures("in_process")
def test_a_recipe_is_trained_without_a_source_and_scored_at_home_and_abroad(recipe, data, tmp_path, capsys):
    run("train", recipe, data, tmp_path, "--without", "dim", "small")
    folder = tmp_path / "tiny"
    settings = yaml.safe_load((folder / "dim" / "config.yaml").read_text())
    assert [source["name"] for source in settings["data"]["sources"]] == ["bright", "small"]
    model = folder / "dim" / "model.safetensors"
    before = model.stat().st_mtime_ns
    capsys.readouterr()
    run("train", recipe, data, tmp_path, "--without", "dim")
    assert (capsys.readouterr().out, model.stat().st_mtime_ns) == ("dim: finished before\n", before)

    # A run without a model is not scored.
    model.rename(tmp_path / "kept.safetensors")
    log = tmp_path / "log.csv"
    assert "the run without dim has no finished model.safetensors" in refused(
        capsys, "score", folder, data, "--log", log, "--without", "dim"
    )
    assert not log.exists()
    (tmp_path / "kept.safetensors").rename(model)
    run("score", folder, data, "--log", log)
    rows = sources_log.read_log(log)
    places = [(row.without, row.place, row.source, row.image) for row in rows if row.without == "dim"]
    abroad = [("dim", "abroad", "dim", str(image)) for image in range(3)]
    assert places == [*abroad, ("dim", "home", "bright", "2"), ("dim", "home", "small", "2")]
    assert {row.without for row in rows} == {"dim", "small"}
    assert all(row.recipe == "tiny" and row.objects == 4 and row.train_cpu_s > 0 for row in rows)

    # The counts are those of the model itself.
    study = sources_data.read_study(recipe, data)
    segmenter = Segmenter.from_model(model, device="cpu")
    one = study.images("dim", "abroad", segmenter.config.images)[1]
    found = segmenter.segment(one.image, normalized=True).labels
    assert rows[1].tp == tuple(average_precision(found, one.labels).tp)
    assert rows[1].predicted == found.max()

    # Nothing is scored twice, and what is replaced keeps the rest.
    text = log.read_text()
    run("score", folder, data, "--log", log, "--without", "dim")
    assert log.read_text() == text
    run("score", folder, data, "--log", log, "--without", "dim", "--again")
    assert [row.without for row in sources_log.read_log(log)] == ["small"] * 5 + ["dim"] * 5
    capsys.readouterr()
    run("table", log)
    assert "| tiny | abroad | 2 |" in capsys.readouterr().out

    other = tmp_path / "other" / "tiny.yaml"
    other.parent.mkdir()
    other.write_text(recipe.read_text().replace("learning_rate: 0.0005", "learning_rate: 0.0006"))
    assert "dim was begun with other settings (training.learning_rate); give the recipe another name" in refused(
        capsys, "train", other, data, tmp_path, "--without", "dim"
    )
    # The other runs of a folder are of one recipe, too.
    before = (folder / "recipe.yaml").read_bytes()
    assert "dim was begun with other settings" in refused(
        capsys, "train", other, data, tmp_path, "--without", "bright"
    )
    assert (folder / "recipe.yaml").read_bytes() == before


def test_a_run_that_fails_is_told_with_its_last_line(recipe, data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sources_runs, "TRAIN", "import sys; sys.exit(f'autosam: no memory for {sys.argv[4]}')")
    line = refused(capsys, "train", recipe, data, tmp_path, "--without", "dim", "none")
    folder = tmp_path / "tiny"
    told = f"the last line of {folder}/dim.log: autosam: no memory for {folder}/dim"
    # The other run is begun all the same.
    assert line == f"training failed without dim, none; {told}"
    assert not list(folder.glob("*.done"))


@pytest.mark.usefixtures("in_process")
def test_a_run_that_patience_ended_is_finished(recipe, data, tmp_path, capsys):
    """It has no validation at its last step, but its training ended."""
    settings = yaml.safe_load(recipe.read_text())
    settings["training"] |= {"steps": 20, "validate_every": 1, "patience": 1, "learning_rate": 1e-12}
    impatient = tmp_path / "tiny.yaml"
    impatient.write_text(yaml.safe_dump(settings))
    run("train", impatient, data, tmp_path, "--without", "dim")
    folder = tmp_path / "tiny"
    assert len((folder / "dim" / "validation.csv").read_text().splitlines()) < 20
    capsys.readouterr()
    run("train", impatient, data, tmp_path, "--without", "dim")
    assert capsys.readouterr().out == "dim: finished before\n"
    # One whose training was killed while its model was completed is not.
    (folder / "dim.done").unlink()
    with pytest.raises(
        sources_data.InputError, match=r"without dim has no finished model\.safetensors.*dim\.done"
    ):
        sources_runs.runs_in(folder, [])
    run("train", impatient, data, tmp_path, "--without", "dim")
    assert list(sources_runs.runs_in(folder, [])) == ["dim"]


def test_an_interrupted_run_goes_on(recipe, data, tmp_path, monkeypatch):
    study = sources_data.read_study(recipe, data)
    (tmp_path / "dim").mkdir()
    started = []

    def popen(command, **_):
        (tmp_path / "dim.done").unlink(missing_ok=True)
        started.append(command[6:])
        return type("Ended", (), {"poll": lambda self: 0})()

    monkeypatch.setattr(sources_runs.subprocess, "Popen", popen)
    sources_runs.train_runs(study, tmp_path, ["dim"], jobs=1)
    assert (tmp_path / "dim.done").exists()
    (tmp_path / "dim" / "last.pt").touch()
    sources_runs.train_runs(study, tmp_path, ["dim"], jobs=1)
    assert started == [
        [str(tmp_path / "dim"), "--config", str(tmp_path / "dim.yaml")],
        [str(tmp_path / "dim"), "--resume"],
    ]


def test_settings_are_scored_side_by_side(recipe, data, tmp_path):
    model, log = write_model(tmp_path / "m.safetensors", *GENERATOR_ALONE), tmp_path / "log.csv"
    options = ["--log", log, "--recipe", recipe, "--home", "bright", "dim", "--images", 1]
    run("score", model, data, *options, "--set", "prompts.foreground=0.3,0.6", "--set", "merge.min_size=0")
    rows = sources_log.read_log(log)
    assert {row.setting for row in rows} == {
        f"prompts.foreground={level} merge.min_size=0" for level in ("0.3", "0.6")
    }
    assert [(row.recipe, row.without, row.place, row.source) for row in rows[::2]] == [
        ("m", "small", "abroad", "small"),
        ("m", "small", "home", "bright"),
        ("m", "small", "home", "dim"),
    ]
    study = sources_data.read_study(recipe, data)
    for level, one in zip(("0.3", "0.6"), rows, strict=False):
        segmenter = Segmenter.from_model(model, overrides=[f"prompts.foreground={level}", "merge.min_size=0"])
        image = study.images("small", "abroad", segmenter.config.images, 1)[0]
        assert one.predicted == segmenter.segment(image.image, normalized=True).labels.max()


def test_wrong_input_is_refused_in_one_line(recipe, data, tmp_path, capsys):
    log = tmp_path / "log.csv"
    assert "no source mars in the recipe; it has bright, dim, small" in refused(
        capsys, "train", recipe, data, tmp_path, "--without", "mars"
    )
    assert "no source is left" in refused(capsys, "train", recipe, data, tmp_path, "--without", "+".join(NAMES))
    assert "no recipe" in refused(capsys, "train", tmp_path / "none.yaml", data, tmp_path)
    (tmp_path / "tiny" / "dim").mkdir(parents=True)
    assert "no run with a model.safetensors in" in refused(capsys, "score", tmp_path / "tiny", data, "--log", log)
    assert "no run mars in" in refused(capsys, "score", tmp_path / "tiny", data, "--log", log, "--without", "mars")
    model = write_model(tmp_path / "m.safetensors", *GENERATOR_ALONE)
    assert "give --recipe" in refused(capsys, "score", model, data, "--log", log)
    told = ["score", model, data, "--log", log, "--recipe", recipe]
    assert "does not tell what it was trained on; name the sources with --home" in refused(capsys, *told)
    assert "no source mars" in refused(capsys, *told, "--home", "mars")
    told += ["--home", "dim"]
    assert "images.* several values" in refused(capsys, *told, "--set", "images.low=0,1")
    assert "prompts.forground is unknown" in refused(capsys, *told, "--set", "prompts.forground=0,1")
    assert "make one with" in refused(capsys, "table", log)
    log.write_text("a,b\n1,2\n")
    assert "is no log of this study" in refused(capsys, *told)
    sources_log.replace_rows(tmp_path / "good.csv", [row("a", "0", 2, 2, 1)])
    text = (tmp_path / "good.csv").read_text()
    log.write_text(text.replace("\n1,", "\n2,"))
    assert "is a log of another version, and 1 is wanted" in refused(capsys, "table", log)
    log.write_text(text.replace("abroad,a,0,2,2", "abroad,a,0,2,0"))
    assert "line 2 is no row of this log" in refused(capsys, "table", log)
    log.write_text(text)
    assert "no recipe Q in the log; it has R" in refused(capsys, "table", log, "--recipes", "Q")
    assert "no row with the setting 'x'" in refused(capsys, "table", log, "--setting", "x")
    assert "the log has 1 runs of R without a source, and 1 settings" in refused(capsys, "tune", log, "R")


def test_a_log_keeps_every_row_exactly(tmp_path):
    log = tmp_path / "folder" / "log.csv"
    rows = [
        row("a", "0", 3, 2, 1, train_cpu_s=2.5, setting="merge.iou=0.4 prompts.min_size=3"),
        row("b", "1", 0, 0, 0),
    ]
    rows[0] = replace(rows[0], tp=(2, 2, 2, 1, 1, 1, 1, 1, 0, 0))
    sources_log.replace_rows(log, rows)
    before = log.read_text()
    again = sources_log.read_log(log)
    assert again[0] == rows[0]
    assert np.isnan(again[1].train_cpu_s)
    sources_log.replace_rows(log, [replace(rows[0], setting="other")])
    assert log.read_text().startswith(before)
    assert [path.name for path in log.parent.iterdir() if not path.name.startswith(".")] == ["log.csv"]
    with log.open(newline="") as file:
        assert next(csv.DictReader(file))["tp60"] == "2"


def test_scores_are_pooled_over_images_and_averaged_over_sources(capsys, tmp_path):
    # Source a: 1 of 4 and 3 of 4, with 4 and 0 false: 4 / (8 + 8 - 4). Source b: 1 / (2 + 1 - 1).
    rows = [row("a", "0", 4, 5, 1), row("a", "1", 4, 3, 3), row("b", "0", 2, 1, 1)]
    places = sources_table.collect(rows)
    figures = sources_table.place_figures(places["abroad"], resamples=400)
    assert figures["a"].values == pytest.approx([4 / 12] * 3)
    assert figures["b"].values == pytest.approx([1 / 2] * 3)
    # Two images give four draws: twice the first, twice the second, both.
    assert set(np.round(figures["a"].drawn[:, 0], 4)) == {round(1 / 8, 4), round(3 / 4, 4), round(4 / 12, 4)}
    low, high = figures["a"].limits
    assert (low[0], high[0]) == (1 / 8, 3 / 4)
    assert np.isnan(figures["b"].limits).all()
    mean = sources_table.mean_figures([*figures.values()])
    assert mean.values == pytest.approx([(4 / 12 + 1 / 2) / 2] * 3)
    assert mean.limits[0][0] == (1 / 8 + 1 / 2) / 2
    sources_log.replace_rows(tmp_path / "log.csv", rows)
    run("table", tmp_path / "log.csv", "--resamples", 400)
    lines = capsys.readouterr().out.splitlines()
    assert "| R | abroad | 2 | " + " | ".join([".417 [.312, .625]"] * 3) + " |" in lines
    assert "| R | abroad | a | 2 | 8 | " + " | ".join([".333 [.125, .750]"] * 3) + " |" in lines
    assert "| R | abroad | b | 1 | 2 | .500 | .500 | .500 |" in lines
    assert "A single image has no interval: b (abroad). It is the same in all draws." in lines


def test_thresholds_count_one_by_one():
    counts = np.array([10, 8, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0.0, 2])
    tp = counts[2:-1]
    expected = tp / (18 - tp)
    assert sources_table.scores_of(counts) == pytest.approx([expected.mean(), expected[0], expected[5]])
    assert np.isnan(sources_table.scores_of(np.zeros(13))).all()


def test_runs_at_home_add_up():
    runs = [row("a", "0", 4, 4, tp, place="home", without=without) for tp, without in ((4, "b"), (0, "c"))]
    places = sources_table.collect(runs)
    assert sources_table.source_figures("a", places["home"]["a"], resamples=5).values[0] == pytest.approx(4 / 12)
    # The four objects are the same ones.
    lines = sources_table.write_tables({("R", ""): places}, resamples=5)
    assert "| R | home | a | 1 | 4 | .333 | .333 | .333 |" in lines


def test_differences_are_paired_by_image():
    first = [row("a", str(image), 4, 4, 1 + image) for image in range(3)]
    other = [replace(one, recipe="S", tp=(one.tp[0] + 1,) * 10) for one in first[:2]]
    missing = row("b", "0", 4, 4, 4, recipe="S")
    groups = sources_table.choose_rows([*first, *other, missing], [], "")
    found, common = sources_table.difference(groups["R", ""]["abroad"], groups["S", ""]["abroad"], resamples=300)
    # On images 0 and 1 of source a alone: 5 of 11 against 3 of 13.
    assert common == ["a"]
    assert found.values[0] == pytest.approx(5 / 11 - 3 / 13)
    # Every draw is better: 2 against 1 of 4 objects, or 3 against 2.
    assert set(np.round(found.drawn[:, 0], 4)) == {
        round(2 / 6 - 1 / 7, 4),
        round(3 / 5 - 2 / 6, 4),
        round(5 / 11 - 3 / 13, 4),
    }
    lines = sources_table.write_tables(groups, resamples=300)
    assert any(re.match(r"\| S \| abroad \| a \| \+\.224 \[\+\.190, \+\.267\]", line) for line in lines)
    # An equal recipe differs in no draw.
    same, _ = sources_table.difference(groups["R", ""]["abroad"], groups["R", ""]["abroad"], resamples=50)
    assert not same.drawn.any()


def grid(values):
    """Make rows of two settings: matches of four objects, by place, run, source and setting."""
    return [
        row(source, "0", 4, 4, tp, place=place, without=without, setting=setting)
        for (place, without, source), pair in values.items()
        for setting, tp in zip(("x=1", "x=2"), pair, strict=True)
    ]


def test_a_source_whose_thresholds_nobody_else_can_choose_is_told():
    rows = grid({("abroad", "a", "a"): (4, 0), ("abroad", "a+b", "a"): (1, 3), ("abroad", "a+b", "b"): (1, 3)})
    abroad = sources_tune.group_rows(rows)[0]
    with pytest.raises(sources_data.InputError, match="no other run lacks another source than a"):
        sources_tune.choose_by_others(abroad)


def test_thresholds_of_a_source_are_chosen_by_the_others():
    rows = grid(
        {
            ("abroad", "a", "a"): (4, 0),
            ("abroad", "b", "b"): (1, 3),
            ("abroad", "c", "c"): (1, 2),
            ("home", "a", "b"): (2, 3),
            ("home", "a", "c"): (2, 3),
            ("home", "b", "a"): (4, 3),
        }
    )
    abroad, _, settings = sources_tune.group_rows(rows)
    assert settings == ["x=1", "x=2"]
    assert sources_tune.choose_by_others(abroad) == {("a", "a"): "x=2", ("b", "b"): "x=1", ("c", "c"): "x=1"}
    lines = sources_tune.cross_fit(rows, "R", resamples=20)

    def ap(*tp):
        return f"{np.mean([one / (8 - one) for one in tp]):.3f}"

    assert f"| as they are: x=1 | abroad | {ap(4, 1, 1)} | {ap(4, 1, 1)} | {ap(4, 1, 1)} |" in lines
    assert lines[4].startswith(f"| cross-fitted | abroad | {ap(0, 1, 1)} |")
    # At home, a source has the settings that were chosen without it.
    assert lines[5].startswith(f"| cross-fitted | home | {ap(2, 2, 3)} |")
    # Run a takes 2 by its val images, run b takes 1; run c has no val image and stays.
    assert lines[6].startswith(f"| tuned on val | abroad | {ap(0, 1, 1)} |")
    assert lines[7].startswith(f"| tuned on val | home | {ap(3, 3, 4)} |")
    assert lines[8].startswith(f"| tuned on what is scored | abroad | {ap(4, 1, 1)} |")
    optimism = float(ap(3, 3, 4)) - float(ap(2, 2, 3))
    said = next(line for line in lines if line.startswith("Tuned on val minus cross-fitted"))
    assert float(said.split()[-6].rstrip(",")) == pytest.approx(optimism, abs=0.0011)
    assert lines[-1] == "Chosen by all sources: x=1"
    assert "Chosen for a by the others: x=2" in lines


def test_only_images_and_settings_that_all_have_are_compared():
    rows = [*grid({("abroad", "a", "a"): (4, 0), ("abroad", "b", "b"): (4, 0)})]
    rows += [row("a", "9", 4, 4, 4, setting="x=1"), row("a", "0", 4, 4, 4, setting="x=3")]
    abroad, _, settings = sources_tune.group_rows(rows)
    assert settings == ["x=1", "x=2"]
    assert list(abroad["a", "a"]["x=1"]) == ["0"]


def test_sources_that_one_run_lacks_do_not_choose_for_each_other():
    rows = grid({("abroad", "a+b", "a"): (4, 0), ("abroad", "a+b", "b"): (4, 0), ("abroad", "c", "c"): (0, 4)})
    chosen = sources_tune.choose_by_others(sources_tune.group_rows(rows)[0])
    assert chosen == {("a+b", "a"): "x=2", ("a+b", "b"): "x=2", ("c", "c"): "x=1"}


@pytest.fixture
def folder(tmp_path):
    """A folder of two modalities, as dsb2018."""
    for part in ("images", "labels"):
        (tmp_path / "kinds" / part).mkdir(parents=True)
        for name in "abcdef":
            (tmp_path / "kinds" / part / f"{name}.png").touch()
    lines = [f"{name},{'stain' if name in 'be' else 'fluo'}" for name in "abcdef"]
    (tmp_path / "kinds" / "index.csv").write_text("\n".join(["id,modality", *lines]))
    return tmp_path


def read(folder, *names, split=None):
    sources = [{"name": name, "images": "kinds/images", "labels": "kinds/labels"} for name in names]
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({"data": {"sources": sources}}))
    if split is not None:
        (folder / "splits.json").write_text(json.dumps(split))
    return sources_data.read_study(path, folder)


def test_modalities_are_sources(folder):
    study = read(folder, "kinds_fluo", "kinds_stain", split={"kinds": {"train": list("abcd"), "val": ["e", "f"]}})
    assert study.lists == {
        "kinds_fluo": {"train": ["a", "c", "d"], "val": ["f"]},
        "kinds_stain": {"train": ["b"], "val": ["e"]},
    }
    # A model that was trained on the folder knows all its modalities.
    assert study.lacked_by({"kinds"}) == []
    assert study.lacked_by({"kinds_stain"}) == ["kinds_fluo"]
    with pytest.raises(sources_data.InputError, match=r"no image of the modality dark .* it has fluo, stain"):
        read(folder, "kinds_dark")


def test_a_source_without_any_image_is_refused(folder):
    with pytest.raises(
        sources_data.InputError, match=r"source kinds_stain has no image: .*splits\.json lists none"
    ):
        read(folder, "kinds_stain", split={"kinds": {"train": ["a", "c"], "val": ["f"]}})


def test_a_fraction_of_the_training_images_is_that_of_training(recipe, data):
    settings = yaml.safe_load(recipe.read_text())
    settings["data"]["fraction"] = 0.5
    half = recipe.with_name("half.yaml")
    half.write_text(yaml.safe_dump(settings))
    study = sources_data.read_study(half, data)
    parts = {part: len(study.images("dim", part, study.config.images)) for part in ("train", "home", "abroad")}
    assert parts == {"train": 1, "home": 1, "abroad": 3}
    assert study.images("dim", "train", study.config.images)[0].name in {
        one.name for one in load_part(data, study.config, "train")
    }


def test_a_source_without_val_images_gives_some(folder):
    assert read(folder, "kinds", split={"kinds": {"train": ["a", "b", "c"]}}).lists == {
        "kinds": {"train": ["a", "c"], "val": ["b"]}
    }
    assert read(folder, "kinds", split={}).lists["kinds"]["val"] == ["f"]


def test_runs_lack_one_source_or_several(recipe, data):
    settings = yaml.safe_load(recipe.read_text())
    settings["data"]["unlabeled"] = ["others"]
    settings.setdefault("training", {}).setdefault("augment", {})["spectrum"] = 0.5
    recipe.write_text(yaml.safe_dump(settings))
    study = sources_data.read_study(recipe, data)
    assert study.lacking("none") == []
    assert study.lacking("small+bright") == ["bright", "small"]
    config = study.config_without("bright", Path("splits.json"))
    assert [source.name for source in config.data.sources] == ["dim", "small"]
    assert config.training == study.config.training
    assert config.data.model_copy(update={"sources": (), "split": None}) == study.config.data.model_copy(
        update={"sources": (), "split": None}
    )


def test_a_missing_store_is_told_with_what_makes_it(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({"data": {"sources": [{"name": "m", "images": "m.h5", "labels": "m.h5"}]}}))
    with pytest.raises(sources_data.InputError, match=r"autosam data import FOLDER -o m\.h5"):
        sources_data.read_study(path, tmp_path, stores=tmp_path)
    image, labels = discs(0, 64)
    stored = write_store(tmp_path / "m.h5", {"0": (image[..., 0], labels.astype(np.uint8))})
    Store.open(stored).with_splits({"0": "train"})
    with pytest.raises(sources_data.InputError, match=r"source m: the store .*m\.h5 has no val image"):
        sources_data.read_study(path, tmp_path, stores=tmp_path)


def test_the_peer_is_trained_and_scored_alike(recipe, data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sources_peer, "TILE", 64)
    log = tmp_path / "log.csv"
    run("peer", recipe, data, tmp_path, "--log", log, "--seconds", 0.1, "--without", "dim")
    rows = sources_log.read_log(log)
    assert [(row.recipe, row.without, row.place, row.source) for row in rows[-2:]] == [
        ("peer", "dim", "home", "bright"),
        ("peer", "dim", "home", "small"),
    ]
    assert rows[0].train_cpu_s >= 0.1
    capsys.readouterr()
    run("peer", recipe, data, tmp_path, "--log", log, "--seconds", 0.1, "--without", "dim")
    assert capsys.readouterr().out.splitlines() == [
        "peer without dim: trained before",
        "peer without dim: scored before",
    ]


def test_the_peer_parts_what_its_border_parts():
    foreground, border = np.zeros((40, 60), np.float32), np.zeros((40, 60), np.float32)
    foreground[10:30, 5:55], border[10:30, 29:32] = 0.9, 0.9
    found = sources_peer.divide(foreground, border)
    assert set(found[20, 6:54]) == {1, 2}
    assert (found > 0).sum() == 20 * 50
    # Too small a seed, and too small an object, are none.
    assert not sources_peer.divide(foreground[:, :15] * (np.arange(15) > 10), border[:, :15]).any()


def test_the_peer_learns_borders_of_touching_instances_where_labels_count():
    one = labeled_image(0, 32)
    labels = np.zeros((32, 32), np.int32)
    labels[8:24, 4:16], labels[8:24, 16:28] = 1, 2
    one = replace(one, labels=labels, valid=np.arange(32)[:, None] < np.full((32, 32), 20))
    picture, (foreground, border, counted) = sources_peer._training_pair(one)
    assert (picture.shape, counted.sum()) == ((32, 32), 20 * 32)
    assert border[16, 14:18].all()
    assert not border[16, 8:13].any()
    assert foreground[16, 4:28].all()
