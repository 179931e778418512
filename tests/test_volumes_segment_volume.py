"""The way of a volume, with a model that answers by rule."""

import csv
import json
from functools import partial
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from volume_job import ArraySource, draw_balls, read_labels_at, rule_model, same_partition

from autosam.errors import ConfigError, InputError, OutputError
from autosam.images import read_labels
from autosam.volumes.segment_volume import VolumeOptions, segment_source

SHAPE = (14, 150, 170)


def run(folder, source, *, name="out.zarr", workers=1, overwrite=False, watch=None, **volume):
    options = VolumeOptions(device="cpu", workers=workers, overwrite=overwrite)
    return segment_source(source, folder / name, rule_model(**volume), options, model_sha256="rule", watch=watch)


@pytest.fixture(scope="module")
def balls():
    return draw_balls(SHAPE, 25)


def test_balls_across_tiles_and_slabs_are_each_one_instance(tmp_path, balls):
    volume, truth = balls
    result = run(tmp_path, ArraySource(volume))
    labels = read_labels_at(tmp_path / "out.zarr")
    assert labels.shape == SHAPE
    assert same_partition(labels, truth)
    assert result.instances == truth.max() == labels.max()
    assert labels.dtype == np.uint16


@pytest.mark.parametrize(("slab", "tile"), [(1, 64), (3, 128), (5, 1000), (100, 64)])
def test_labels_do_not_depend_on_slabs_and_blocks(tmp_path, balls, slab, tile):
    volume, _ = balls
    run(tmp_path, ArraySource(volume), name="a.zarr")
    run(tmp_path, ArraySource(volume), name="b.zarr", slab=slab, tile=tile)
    assert np.array_equal(read_labels_at(tmp_path / "a.zarr"), read_labels_at(tmp_path / "b.zarr"))


def reads_until_linked(source, results, count):
    """Note how often the source was read before slices are linked; the sheet reads it, too."""
    if results.step == "linking slices" and not count:
        count.append(len(source.reads))


def test_each_tile_of_each_slice_is_read_once(tmp_path, balls):
    source, count = ArraySource(balls[0]), []
    result = run(tmp_path, source, watch=lambda results: reads_until_linked(source, results, count))
    sampled = SHAPE[0]
    assert count[0] - sampled == SHAPE[0] * result.record["tiles"]


def test_a_rerun_does_nothing_and_another_run_is_refused(tmp_path, balls):
    source = ArraySource(balls[0])
    run(tmp_path, source)
    source.reads.clear()
    again = run(tmp_path, source)
    assert again.finished_before
    assert source.reads == []
    with pytest.raises(OutputError, match="results of another volume, model or settings"):
        run(tmp_path, ArraySource(balls[0][:5]))
    fewer = run(tmp_path, ArraySource(balls[0][:5]), overwrite=True)
    assert fewer.record["shape"] == [5, 150, 170]
    assert read_labels_at(tmp_path / "out.zarr").shape == (5, 150, 170)


def test_lengths_of_unknown_voxels_are_unknown(tmp_path, balls):
    files = run(tmp_path, ArraySource(balls[0])).files
    rows = list(csv.DictReader(files.table.read_text().splitlines()))
    assert rows
    for name in ("volume_um3", "surface_um2", "skeleton_length_um"):
        assert {row[name] for row in rows} == {""}


@pytest.mark.parametrize("text", ['{"contr', "{}", "[]", '{"contrast": {}, "zoom": 1}'])
def test_a_damaged_preparation_is_one_line(tmp_path, balls, text):
    source = ArraySource(balls[0][:2])
    result = run(tmp_path, source)
    result.files.record.unlink()
    (prepared,) = result.files.tasks.glob("prepare-*.json")
    prepared.write_text(text)
    with pytest.raises(InputError, match=r"prepare-.*json is damaged .*; delete it and repeat") as caught:
        run(tmp_path, source, overwrite=True)
    assert "\n" not in str(caught.value)


def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(tmp_path, balls):
    source = ArraySource(balls[0])
    run(tmp_path, source, name="whole.zarr")
    done = 0

    def stop(results):
        nonlocal done
        done += 1
        if done == 9:
            raise KeyboardInterrupt

    source.reads.clear()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, source, name="cut.zarr", watch=stop)
    before = len(source.reads)
    source.reads.clear()
    count = []
    watch = partial(reads_until_linked, source, count=count)
    result = run(tmp_path, source, name="cut.zarr", watch=watch)
    # No tile twice; the slices that were sampled for their contrast are not sampled again.
    assert before + count[0] == SHAPE[0] * (1 + result.record["tiles"])
    whole, cut = (
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in ("whole.zarr", "cut.zarr")
    )
    assert whole == cut


def test_holes_are_recorded_and_bridged(tmp_path, balls):
    volume, truth = balls
    result = run(tmp_path, ArraySource(volume, holes=(6,)))
    labels = read_labels_at(tmp_path / "out.zarr")
    assert {hole[0] for hole in result.record["holes"]} == {6}
    assert not labels[6].any()
    through = [i for i in np.unique(truth[5]) if i and (truth[7] == i).sum() > 50 and (truth[5] == i).sum() > 50]
    assert through
    for ball in through:
        assert len(np.unique(labels[(truth == ball) & (labels > 0)])) == 1


@pytest.mark.parametrize("settings", [{}, {"min_score": 0.5}, {"fill": "interpolate", "window": 64}])
def test_a_volume_without_objects_is_empty(tmp_path, settings):
    result = run(tmp_path, ArraySource(np.zeros((3, 40, 70), np.uint8)), **settings)
    assert result.instances == 0
    assert not read_labels_at(tmp_path / "out.zarr").any()
    assert json.loads((tmp_path / "out_run.json").read_text())["instances"] == 0


def test_processes_give_the_same_labels(tmp_path, balls):
    volume, _ = balls
    run(tmp_path, ArraySource(volume), name="a.zarr")
    run(tmp_path, ArraySource(volume), name="b.zarr", workers=2)
    assert np.array_equal(read_labels_at(tmp_path / "a.zarr"), read_labels_at(tmp_path / "b.zarr"))


def test_a_second_run_is_refused_while_the_first_lives(tmp_path, balls):
    source = ArraySource(balls[0])
    refused = []

    def try_again(results):
        if not refused:
            with pytest.raises(ConfigError, match=r"is being written by process .*; wait for it") as caught:
                run(tmp_path, source)
            refused.append(str(caught.value))

    run(tmp_path, source, watch=try_again)
    assert len(refused) == 1


def test_the_files_beside_the_labels(tmp_path, balls):
    volume, truth = balls
    result = run(tmp_path, ArraySource(volume, voxel_size=(40.0, 8.0, 8.0)))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "out.zarr",
        "out_objects.csv",
        "out_run.json",
        "out_sheet.png",
        "out_slices.parquet",
        "out_tasks",
    ]
    with (tmp_path / "out_objects.csv").open() as file:
        rows = list(csv.DictReader(file))
    labels = read_labels_at(tmp_path / "out.zarr")
    assert [int(row["label"]) for row in rows] == list(range(1, truth.max() + 1))
    assert [int(row["voxels"]) for row in rows] == np.bincount(labels.ravel())[1:].tolist()
    assert float(rows[0]["volume_um3"]) == pytest.approx(int(rows[0]["voxels"]) * 0.04 * 0.008**2)
    slices = pq.read_table(tmp_path / "out_slices.parquet").to_pydict()
    found = dict(zip(zip(slices["label"], slices["z"], strict=True), slices["area"], strict=True))
    assert found == {
        (int(i), z): int((labels[z] == i).sum()) for z in range(SHAPE[0]) for i in np.unique(labels[z]) if i
    }
    assert set(slices["origin"]) == {0}
    assert not (result.files.tasks / "output").exists()


def test_labels_of_somebody_else_are_refused_before_the_work(tmp_path, balls):
    (tmp_path / "out.zarr").mkdir()
    (tmp_path / "out.zarr" / "zarr.json").write_text("{}")
    steps = []
    with pytest.raises(OutputError, match="is not what this command would continue"):
        run(tmp_path, ArraySource(balls[0]), watch=lambda results: steps.append(results.step))
    assert steps == []
    assert (tmp_path / "out.zarr" / "zarr.json").read_text() == "{}"


def test_no_space_for_the_output_is_told_before_the_work(tmp_path, balls, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    steps = []
    with pytest.raises(OutputError, match=r"needs about .* GB are free"):
        run(tmp_path, ArraySource(balls[0]), watch=lambda results: steps.append(results.step))
    assert steps == []


def test_a_run_that_was_killed_before_its_record_is_finished(tmp_path, balls, monkeypatch):
    def no_record(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("autosam.volumes.segment_volume.write_json", no_record)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, ArraySource(balls[0]))
    monkeypatch.undo()
    assert (tmp_path / "out.zarr").exists()
    assert not (tmp_path / "out_run.json").exists()
    result = run(tmp_path, ArraySource(balls[0]))
    assert not result.finished_before
    assert same_partition(read_labels_at(tmp_path / "out.zarr"), balls[1])
    assert not (tmp_path / "out_tasks" / "output").exists()


def test_the_table_as_parquet_holds_the_same_rows(tmp_path, balls):
    volume, _ = balls
    run(tmp_path, ArraySource(volume), name="a.zarr")
    options = VolumeOptions(device="cpu", table="parquet")
    result = segment_source(ArraySource(volume), tmp_path / "b.tif", rule_model(), options, model_sha256="rule")
    assert result.files.table == tmp_path / "b_objects.parquet"
    rows = pq.read_table(result.files.table).to_pylist()
    with (tmp_path / "a_objects.csv").open(newline="") as file:
        expected = list(csv.DictReader(file))
    assert [row["voxels"] for row in rows] == [int(row["voxels"]) for row in expected]
    assert np.array_equal(read_labels_at(tmp_path / "a.zarr"), read_labels(tmp_path / "b.tif"))
    assert not (tmp_path / "b_objects.csv").exists()


def test_doubtful_instances_are_left_out(tmp_path, balls, monkeypatch):
    _, truth = balls
    # The networks are less sure of darker balls; one bright pixel keeps the contrast of every slice.
    volume = np.where(truth > 0, 140 + 20 * (truth % 5), 0).astype(np.uint8)
    volume[:, -1, -1] = 255
    whole = run(tmp_path, ArraySource(volume), name="all.zarr")
    with (tmp_path / "all_objects.csv").open() as file:
        scores = {int(row["label"]): float(row["score"]) for row in csv.DictReader(file)}
    limit = sorted(scores.values())[len(scores) // 2]
    result = run(tmp_path, ArraySource(volume), min_score=limit)
    sure = {label for label, score in scores.items() if score >= limit}
    assert 0 < result.instances == len(sure) < len(scores)
    before, after = (read_labels_at(tmp_path / name) for name in ("all.zarr", "out.zarr"))
    assert same_partition(after, np.where(np.isin(before, list(sure)), before, 0))
    assert whole.instances == truth.max()


def test_a_run_over_another_that_was_killed_before_its_record_is_not_taken_for_it(tmp_path, balls, monkeypatch):
    source = ArraySource(balls[0][:4])
    run(tmp_path, source)

    def no_record(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("autosam.volumes.segment_volume.write_json", no_record)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, source, overwrite=True, min_size=10**6)
    monkeypatch.undo()
    assert not read_labels_at(tmp_path / "out.zarr").any()
    with pytest.raises(OutputError, match="is not what this command would continue"):
        run(tmp_path, source)
    assert not run(tmp_path, source, overwrite=True, min_size=10**6).finished_before


def test_labels_of_one_stem_do_not_take_each_others_tables(tmp_path, balls):
    source = ArraySource(balls[0][:4])
    run(tmp_path, source)
    table = (tmp_path / "out_objects.csv").read_bytes()
    with pytest.raises(OutputError, match=r"out\.zarr holds the results of another"):
        run(tmp_path, source, name="out.tif", min_size=10**6)
    run(tmp_path, source, name="out.tif")
    assert (tmp_path / "out_objects.csv").read_bytes() == table
