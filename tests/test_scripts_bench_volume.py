import sys

import numpy as np
from script_modules import load_script

from autosam.metrics import match_objects
from autosam.metrics.contingency import contingency_table

stitch = load_script("volume_accuracy").stitch
runs = load_script("volume_runs")
slides = load_script("volume_slide")


def line(*ids):
    return np.repeat(np.array(ids, np.int32), 4)[None]


def test_stitching_follows_the_best_of_both_sides():
    # 1 goes on as 7; 2 ends; 9 begins; in the last slice nothing overlaps enough.
    slices = [line(1, 1, 0, 2, 0, 0), line(7, 7, 0, 0, 9, 0), line(0, 7, 0, 0, 0, 0)]
    found = stitch(slices, iou=0.6)
    assert found[:, 0, ::4].tolist() == [[1, 1, 0, 2, 0, 0], [1, 1, 0, 0, 4, 0], [0, 5, 0, 0, 0, 0]]
    assert stitch(slices, iou=0.5)[2, 0, 4] == 1


def test_stitching_gives_an_id_to_one_object_of_a_slice():
    # Both 1 and 2 overlap 5, which continues the larger one; 2 has nobody.
    found = stitch([line(5, 5, 5, 5), line(1, 1, 1, 2)], iou=0.2)
    assert found[1, 0, ::4].tolist() == [1, 1, 1, 3]
    assert not stitch([line(0, 0), line(0, 0)], iou=0.25).any()


def test_a_slide_is_the_same_in_parts_and_its_nuclei_do_not_touch():
    slide = slides.Slide(side=400, count=30)
    whole = slide.labels(0, 0, 400, 400)
    assert len(np.unique(whole)) == 31
    parts = np.zeros_like(whole)
    for top in range(0, 400, 150):
        for left in range(0, 400, 130):
            height, width = min(150, 400 - top), min(130, 400 - left)
            parts[top : top + height, left : left + width] = slide.labels(top, left, height, width)
    np.testing.assert_array_equal(parts, whole)
    for axis in (0, 1):
        here, there = np.moveaxis(whole, axis, 0)[:-1], np.moveaxis(whole, axis, 0)[1:]
        assert ((here == there) | (here == 0) | (there == 0)).all()


def test_nuclei_are_counted_over_the_squares_of_a_slide(tmp_path, monkeypatch):
    import zarr

    monkeypatch.setattr(slides, "BLOCK", 150)
    slide = slides.Slide(side=400, count=30)
    found = slide.labels(0, 0, 400, 400)
    found[found == 3] = 0  # missed
    found[found == 5] = 6  # merged
    rows = np.nonzero(found == 8)[0]
    found[int(np.median(rows)) + 1 :][found[int(np.median(rows)) + 1 :] == 8] = 99  # cut
    group = zarr.open_group(tmp_path / "o.zarr", mode="w")
    group.create_array("0", data=found[None])
    group.attrs["ome"] = {"multiscales": [{"datasets": [{"path": "0"}]}]}
    counts = slides._count(slide, tmp_path / "o.zarr")
    whole = slide.labels(0, 0, 400, 400)
    assert counts["counted"] == 29  # 30 less 3 and 5, and 99
    assert counts["found"] == len(match_objects(contingency_table(found, whole), 0.5).iou)
    assert (counts["in_two_or_more_parts"], counts["merged"], counts["on_nothing"]) == (1, 1, 0)


def test_a_written_slide_shows_its_nuclei(tmp_path):
    import zarr

    slide = slides.Slide(side=300, count=9)
    slide.write(tmp_path / "s.zarr")
    image = zarr.open_array(tmp_path / "s.zarr", mode="r")[0]
    assert image.shape == (300, 300, 3)
    nuclei = slide.labels(0, 0, 300, 300) > 0
    assert image[nuclei].mean() < 120 < 180 < image[~nuclei].mean()


def test_what_two_runs_leave_is_compared_by_name_and_bytes(tmp_path):
    for stem, text in (("a", "same"), ("b", "same"), ("c", "other")):
        (tmp_path / f"{stem}.zarr").mkdir()
        (tmp_path / f"{stem}.zarr" / "0").write_text(text)
        (tmp_path / f"{stem}_objects.csv").write_text("id\n")
        (tmp_path / f"{stem}_run.json").write_text(stem)
        (tmp_path / f"{stem}_tasks").mkdir()
        (tmp_path / f"{stem}_tasks" / stem).write_text(stem)
    a, b, c = (runs.file_hashes(tmp_path / f"{stem}.zarr") for stem in "abc")
    assert sorted(a) == [".zarr/0", "_objects.csv"]
    assert a == b != c
    runs.remove_run(tmp_path / "a.zarr")
    assert [path.name for path in tmp_path.glob("a*")] == []


def test_rows_of_tables_count_and_not_how_they_are_grouped(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    for stem, rows, groups in (("a", [1, 2, 3], 3), ("b", [1, 2, 3], 1), ("c", [1, 2, 4], 1)):
        pq.write_table(pa.table({"z": rows}), tmp_path / f"{stem}_slices.parquet", row_group_size=groups)
    a, b, c = (runs.file_hashes(tmp_path / f"{stem}.zarr") for stem in "abc")
    assert list(a) == ["_slices.parquet"]
    assert a == b != c


def test_a_run_is_measured_with_its_memory():
    # What the process that asks holds itself does not count.
    held = np.ones(100_000_000)
    found = runs.run([sys.executable, "-c", "held = b'x' * 200_000_000"])
    assert 0.2 < found.peak_gb < 0.5 < held.nbytes / 1e9
    assert found.cpu_seconds > 0
