import json

import numpy as np
import pytest

from autosam.errors import InputError
from autosam.evaluation.find_labels import find_labels
from autosam.evaluation.lists import read_stems
from autosam.evaluation.pairing import Pair, pair_labels, pair_predictions
from autosam.images import write_labels


def pair(pred, truth, **options):
    pairs, missing = pair_labels(find_labels(pred), find_labels(truth), **options)
    if missing:
        raise InputError("; ".join(missing))
    return pairs


def touch(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return str(folder)


def test_folders_are_paired_by_stem_whatever_the_suffix(tmp_path):
    pred = touch(tmp_path / "p", "b.tif", "a.ome.tif", ".hidden.png", "notes.txt")
    truth = touch(tmp_path / "t", "a.png", "b.h5")
    assert pair(pred, truth) == [
        Pair("a", f"{pred}/a.ome.tif", f"{truth}/a.png"),
        Pair("b", f"{pred}/b.tif", f"{truth}/b.h5"),
    ]


def test_of_an_output_folder_only_the_labels_count(tmp_path):
    pred = touch(
        tmp_path / "p",
        *("0089_labels.tif", "0089_overlay.png", "0089_instances.csv", "autosam_run.json"),
        *("0090_labels.tif", "0090_overlay.png", "0090_instances.csv"),
    )
    truth = touch(tmp_path / "t", "0089.png", "0090.png")
    for place in (pred, f"{pred}/*"):
        assert [(p.name, p.pred) for p in pair(place, truth)] == [
            ("0089", f"{pred}/0089_labels.tif"),
            ("0090", f"{pred}/0090_labels.tif"),
        ]


def test_every_missing_partner_is_named_at_once(tmp_path):
    pred = touch(tmp_path / "p", "a.png", "x.png", "y.png")
    truth = touch(tmp_path / "t", "a.png", "b.png", "c.png")
    for folder in (pred, truth):
        write_labels(f"{folder}/a.png", np.ones((2, 2), int))
    with pytest.raises(InputError) as error:
        pair_predictions([pred], truth)
    assert str(error.value) == (
        f"no prediction for b, c in {pred}; no truth for x, y in {truth}: "
        "add the files, or give --list with the stems that are to be compared"
    )
    assert [p.name for p in pair(pred, truth, stems=["a"])] == ["a"]
    with pytest.raises(InputError, match=r"^no prediction for b in .*; no truth for x in "):
        pair(pred, truth, stems=["x", "a", "b", "a"])


def test_of_many_missing_partners_the_first_are_named(tmp_path):
    pred, truth = touch(tmp_path / "p", "a.png"), touch(tmp_path / "t", *(f"{n:02}.png" for n in range(25)))
    with pytest.raises(InputError, match=r"no prediction for 00, 01, .*, 19 and 5 more in "):
        pair_predictions([pred], truth)


def test_single_files(tmp_path):
    pred = touch(tmp_path / "p", "mine.tif", "a.png")
    truth = touch(tmp_path / "t", "truth.png", "a.tif", "b.tif")
    assert pair(f"{pred}/mine.tif", f"{truth}/truth.png") == [
        Pair("mine", f"{pred}/mine.tif", f"{truth}/truth.png")
    ]
    assert pair(f"{pred}/a.png", truth) == [Pair("a", f"{pred}/a.png", f"{truth}/a.tif")]
    with pytest.raises(InputError, match="no truth for mine in"):
        pair(f"{pred}/mine.tif", truth)
    h5 = touch(tmp_path / "h", "v.h5")
    assert pair(f"{h5}/v.h5:/labels/a", f"{truth}/b.tif")[0].pred == f"{h5}/v.h5:/labels/a"


def test_zarr_folders_are_files(tmp_path):
    truth = touch(tmp_path / "t", "v.tif")
    (tmp_path / "p" / "v.zarr").mkdir(parents=True)
    assert [p.name for p in pair(str(tmp_path / "p"), truth)] == ["v"]
    assert [p.name for p in pair(str(tmp_path / "p" / "v.zarr"), truth)] == ["v"]


def test_places_that_cannot_be_used(tmp_path):
    truth = touch(tmp_path / "t", "a.png")
    with pytest.raises(InputError, match="nowhere does not exist"):
        pair(str(tmp_path / "nowhere"), truth)
    with pytest.raises(InputError, match=r"holds no labels: .*\.tif"):
        pair(touch(tmp_path / "empty", "a.txt"), truth)
    with pytest.raises(InputError, match="holds no label files"):
        pair(f"{truth}/*.tif", truth)
    with pytest.raises(InputError, match=r"share a stem: .*a\.png and .*a\.tif"):
        pair(touch(tmp_path / "d", "a.png", "a.tif"), truth)


def test_lists_of_stems(tmp_path):
    text = tmp_path / "stems.txt"
    text.write_text("# validation\n0089\n\n0090.png\nTCGA-21.x\n", encoding="utf-8")
    assert read_stems(str(text)) == ["0089", "0090", "TCGA-21.x"]
    splits = tmp_path / "splits.json"
    splits.write_text(json.dumps({"epfl": {"train": ["0000"], "val": ["0089"]}, "n": 3}), encoding="utf-8")
    assert read_stems(f"{splits}:epfl.val") == ["0089"]
    for source in (f"{splits}:epfl.test", f"{splits}:epfl.val.x", f"{splits}:n", str(splits)):
        with pytest.raises(InputError, match=r"keys of lists are epfl\.train, epfl\.val"):
            read_stems(source)
    plain = tmp_path / "plain.json"
    plain.write_text('["a", "b"]', encoding="utf-8")
    assert read_stems(str(plain)) == ["a", "b"]


def test_lists_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_stems(str(tmp_path / "none.txt"))
    for name, text, message in (
        ("empty.txt", "\n# only this\n", "is empty"),
        ("broken.json", "{", "not valid JSON"),
        ("numbers.json", "[1]", "no list of stems"),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=message):
            read_stems(str(tmp_path / name))
    with pytest.raises(InputError, match=r"only \.json files have keys"):
        read_stems(f"{tmp_path / 'empty.txt'}:val")
