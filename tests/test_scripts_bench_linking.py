"""The script that scores links: dropped objects are bridged, and its table has each row."""

import json

import numpy as np
import tifffile
from script_modules import SCRIPTS, load_script

bench = load_script("bench_linking")


def tubes():
    volume = np.zeros((12, 30, 30), np.uint8)
    volume[:, 2:10, 2:10] = 1
    volume[:, 15:25, 2:10] = 2
    volume[2:, 5:25, 15:25] = 3
    return volume


def test_objects_of_slices_are_numbered_through():
    parts = bench.slice_objects(np.array([[[1, 0, 1], [0, 0, 2]], [[5, 5, 0], [0, 0, 0]]]), sections=False)
    assert parts.tolist() == [[[1, 0, 2], [0, 0, 3]], [[4, 4, 0], [0, 0, 0]]]
    whole = bench.slice_objects(np.array([[[1, 0, 1], [0, 0, 2]], [[5, 5, 0], [0, 0, 0]]]), sections=True)
    assert whole.tolist() == [[[1, 0, 1], [0, 0, 2]], [[3, 3, 0], [0, 0, 0]]]


def test_merging_neighbors():
    objects = np.array([[[1, 1, 0, 2, 0, 0, 0, 0, 0, 3]]])
    assert bench.merge_neighbors(objects, 1.0, 0).tolist() in (
        [[[1, 1, 0, 1, 0, 0, 0, 0, 0, 3]]],
        [[[2, 2, 0, 2, 0, 0, 0, 0, 0, 3]]],
    )
    assert (bench.merge_neighbors(objects, 0.0, 0) == objects).all()


def test_rows_of_dropped_and_found(tmp_path, capsys):
    tifffile.imwrite(tmp_path / "truth.tif", tubes(), metadata={"axes": "ZYX"})
    missing = tubes()
    missing[5][missing[5] == 2] = 0
    tifffile.imwrite(tmp_path / "found.tif", missing, metadata={"axes": "ZYX"})
    given = ["dropped", str(tmp_path / "truth.tif"), "--seeds", "2", "--json", str(tmp_path / "rows.json")]
    assert bench.main(given) == 0
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [row["way"] for row in rows] == ["stitching", "forward-backward", "autosam", "filled"] * 3
    assert all(row["ap50"] == 1 for row in rows[:4])
    places = f"{tmp_path / 'found.tif'},{tmp_path / 'truth.tif'}"
    assert bench.main(["found", f"tubes={places}", "--json", str(tmp_path / "rows.json")]) == 0
    found = {(row["what"], row["way"]): row["ap50"] for row in json.loads((tmp_path / "rows.json").read_text())}
    assert found["tubes, 1 slices or more", "stitching"] < 1
    assert found["tubes, 1 slices or more", "autosam"] == 1
    assert "forward-backward" in capsys.readouterr().out


def test_made_up_neurites_are_one_cell_in_each_slice():
    volume = bench.make_neurites(2.0, depth=3, side=60, count=8)
    assert volume.shape == (3, 60, 60)
    assert set(np.unique(volume)) <= set(range(9))
    assert 0 < (volume == 0).mean() < 0.5
    assert (volume[0] != volume[2]).any()


def test_the_union_of_made_up_objects(tmp_path, monkeypatch):
    # The process of its own imports the script, too.
    monkeypatch.syspath_prepend(SCRIPTS)
    ids, a, b = bench.make_edges(20_000)
    assert len(np.unique(ids)) == 20_000
    assert (np.isin(a, ids) & np.isin(b, ids) & (a < b)).all()
    assert bench.main(["union", "--objects", "20000", "--json", str(tmp_path / "rows.json")]) == 0
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert 0 < row["instances"] < 20_000
