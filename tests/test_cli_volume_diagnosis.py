import csv
import json

import numpy as np
import pytest
from test_cli_evaluate import fault, run, table_row

from autosam.images import write_labels

SHAPE = (8, 20, 44)


@pytest.fixture
def volumes(tmp_path):
    """Five tubes: found, not found, split, and two of one id."""
    truth = np.zeros(SHAPE, np.uint16)
    for number in range(5):
        truth[: 8 - (number == 4), 4:12, 2 + 8 * number : 8 + 8 * number] = number + 1
    pred = truth.copy()
    pred[pred == 2] = 0
    pred[4:][pred[4:] == 3] = 30
    pred[3][pred[3] == 3] = 31
    pred[pred == 5] = 4
    pred[5:7, 14:19, 30:40] = 9
    write_labels(tmp_path / "p.tif", pred)
    write_labels(tmp_path / "t.tif", truth)
    return tmp_path / "p.tif", tmp_path / "t.tif"


def test_where_objects_of_a_volume_are_lost(volumes, tmp_path):
    result = run(*volumes, "--diagnose", "-o", tmp_path / "o")
    assert result.exit_code == 0, result.output
    out = result.stdout.split("Where true objects")[1]
    largest = out[out.index("largest") :]
    out = out.removesuffix(largest)
    # 3 is found: its larger part has IoU .5. 4 and 5 are one instance, which is 4's.
    assert table_row(out, "found ")[1:3] == ["3", "60.0 %"]
    assert table_row(out, "not found ")[1:2] == ["1"]
    assert table_row(out, "not found ")[4:6] == ["1", "33.3 %"]  # id 9 lies on nothing
    assert table_row(out, "split ")[1] == "0"
    assert table_row(out, "split ")[4] == "2"  # 3 and 31
    assert table_row(out, "merged ")[1] == "1"
    assert not [line for line in out.splitlines() if line.startswith("dropped")]
    assert "not told from objects that were never found" in out
    assert table_row(out, "linked without a fault")[1] == "0.667"  # 4 of 5, and 9
    assert table_row(largest, "not found ") == ["not found", "2", "384", "0", "7", "12"]
    assert table_row(largest, "merged ")[1:] == ["5", "336", "0", "7", "36", "4"]
    assert table_row(largest, "false: not found ")[1:4] == ["9", "100", "5"]
    with (tmp_path / "o" / "diagnosis.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == ["object"] * 5 + ["false instance"] * 3
    assert [row["stage"] for row in rows[:5]] == ["found", "not found", "found", "found", "merged"]
    assert rows[4]["merged_voxels"] == "384"
    document = json.loads((tmp_path / "o" / "diagnosis.json").read_text(encoding="utf-8"))
    assert document["stages"]["merged"] == {"count": 1, "share": 0.2}
    assert document["volumes"][0]["false_instances"] == 3
    assert document["objects_in_slices"] is None


def test_places_are_those_of_the_whole_volume(volumes, tmp_path):
    run(*volumes, "--diagnose", "--roi", "2:,2:,8:", "-o", tmp_path / "o")
    with (tmp_path / "o" / "diagnosis.csv").open(encoding="utf-8", newline="") as file:
        second = next(row for row in csv.DictReader(file) if row["object"] == "2")
    assert [second[name] for name in ("stage", "voxels", "z", "row", "column")] == [
        "not found",
        "288",
        "2",
        "7",
        "12",
    ]


def test_slices_of_several_volumes(volumes, tmp_path):
    import tifffile

    for side, path in zip("pt", volumes, strict=True):
        (tmp_path / side).mkdir()
        for volume in "ab":
            for z, image in enumerate(tifffile.imread(path)):
                write_labels(tmp_path / side / f"{volume}_z{z}.png", image)
    result = run(tmp_path / "p", tmp_path / "t", "--volume", "--diagnose")
    assert result.exit_code == 0, result.output
    out = result.stdout.split("Where true objects")[1]
    assert table_row(out, "all ")[1:3] == ["10", "6"]
    assert "a_z" in out[out.index("largest") :]


def write_slices(folder, rows):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = dict(zip(("label", "z", "area", "score", "origin"), zip(*rows, strict=True), strict=True))
    pq.write_table(pa.table(columns), folder / "p_slices.parquet")


def test_how_objects_in_slices_were_made(volumes, tmp_path):
    rows = [(4, z, 96, 0.9, 0) for z in range(8)] + [(1, z, 48, 0.9, 1 if z == 3 else 0) for z in range(8)]
    write_slices(tmp_path, [*rows, (9, 5, 50, 0.5, 2), (9, 6, 50, 0.5, 2)])
    out = run(*volumes, "--diagnose").stdout.split("objects in slices")[1]
    # Instance 4 has two cross-sections in a slice, and 5 ends a slice before.
    assert table_row(out, "found")[1:] == ["22", "22", "100.0 %"]
    assert table_row(out, "filled")[1:] == ["1", "1", "100.0 %"]
    assert table_row(out, "interpolated")[1:] == ["2", "0", "0.0 %"]
    (tmp_path / "p_slices.parquet").write_bytes(b"no table")
    assert "p_slices.parquet cannot be read" in fault(*volumes, "--diagnose")


def test_options_that_do_not_go_together(volumes):
    pred, truth = volumes
    assert "--diagnose came with --compare" in fault("--compare", pred, truth, truth, "--diagnose")
    assert "--diagnose came with --strict" in fault(pred, truth, "--diagnose", "--strict")
    assert "--diagnose came with --device" in fault(pred, truth, "--diagnose", "--device", "cpu")


@pytest.mark.parametrize("roi", [(), ("--roi", "2:,2:,8:")])
def test_what_a_run_found_and_dropped(volumes, tmp_path, roi):
    import tifffile

    from autosam.volumes.slice_objects import SliceObjects, objects_of_labels
    from autosam.volumes.task_files import write_objects

    pred, truth = volumes
    folder = tmp_path / "p_tasks" / "segment-abc"
    folder.mkdir(parents=True)
    of_second = np.where(tifffile.imread(truth) == 2, 7, 0)
    for name, zs in {"z0-3": range(4), "z4-7": range(4, 7)}.items():
        found = [objects_of_labels(of_second[z, 3:, 5:20], z=z, tile=0, corner=(3, 5)) for z in zs]
        write_objects(folder / f"{name}.objects.parquet", SliceObjects.concatenate(found))
    result = run(pred, truth, "--diagnose", "-o", tmp_path / "o", *roi)
    assert result.exit_code == 0, result.output
    out = result.stdout.split("Where true objects")[1].split("largest")[0]
    assert table_row(out, "dropped ")[1] == "1"
    assert "not told" not in out
    with (tmp_path / "o" / "diagnosis.csv").open(encoding="utf-8", newline="") as file:
        second = next(row for row in csv.DictReader(file) if row["object"] == "2")
    assert second["stage"] == "dropped"
    assert second["dropped_voxels"] == ("240" if roi else "336")  # 5 or 7 slices of 48 pixels
    # Which of two runs it was is not known.
    (tmp_path / "p_tasks" / "segment-def").mkdir()
    assert "not told" in run(pred, truth, "--diagnose").stdout


def test_instances_of_a_run_are_ranked_by_their_scores(volumes, tmp_path):
    rows = "".join(f"{i},{0.1 if i in (30, 31, 9) else 0.9}\n" for i in (1, 3, 4, 9, 30, 31))
    (tmp_path / "p_objects.csv").write_text(f"label,score\n{rows}", encoding="utf-8")
    result = run(*volumes, "--sizes", "none")
    assert "ranked by the scores in their tables" in result.stdout
    # 1, 4 and 3 come first, and two of the three are right; then 30, with 9 and 31: three of six.
    ranked = run(*volumes, "--ap", "mitoem2020", "--sizes", "none").stdout
    assert table_row(ranked, "p ")[6] == f"{(41 * 2 / 3 + 20 / 2) / 101:.3f}"  # up to recalls 2 / 5 and 3 / 5
