import numpy as np
import pytest

from autosam.data.manifest import FORMAT
from autosam.errors import InputError
from autosam.evaluation.find_labels import find_labels
from autosam.evaluation.label_refs import LazyLabels
from autosam.evaluation.label_sources import LabelSource, label_files
from autosam.evaluation.pairing import Pair, pair_labels, pair_predictions
from autosam.evaluation.volumes import open_labels
from autosam.images import write_labels
from autosam.images.label_volume import LabelVolume


def lazy(name, shape=(2, 2)):
    return LazyLabels(name, lambda: LabelVolume.of_array(name, np.ones(shape, int)))


def stack(*, single=False):
    """A set of the volume v, slices v0 and v1, and the lone image w."""
    slices = {name: lazy(name) for name in ("v0", "v1", "w")}
    volumes = {"v": lazy("v", (2, 2, 2)), "w": slices["w"]}
    if single:
        del slices["w"], volumes["w"]
    return LabelSource("store", slices, volumes, single=single)


def pair(pred, truth, **options):
    pairs, missing = pair_labels(*(find_labels(s) if isinstance(s, str) else s for s in (pred, truth)), **options)
    if missing:
        raise InputError("; ".join(missing))
    return pairs


def touch(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return str(folder)


def names(pairs):
    return [(pair.name, pair.truth.name) for pair in pairs]


def test_marks_of_other_programs_are_no_part_of_the_stem(tmp_path):
    place = touch(tmp_path / "c", "a.png", "a_cp_masks.png", "b.png", "b_cp_masks.png", "b_flows.tif")
    assert label_files(place).slices == {stem: f"{place}/{stem}_cp_masks.png" for stem in "ab"}
    assert list(label_files(touch(tmp_path / "m", "a_masks.tif", "a.tif")).slices) == ["a"]
    assert list(label_files(f"{place}/a_cp_masks.png").slices) == ["a"]


def test_a_volume_is_whole_where_the_other_side_has_its_name(tmp_path):
    whole = touch(tmp_path / "p", "v_labels.tif", "w_labels.tif")
    assert names(pair(whole, stack())) == [("v", "v"), ("w", "w")]
    slices = touch(tmp_path / "s", "v0.tif", "v1.tif", "w.tif")
    assert names(pair(slices, stack())) == [("v0", "v0"), ("v1", "v1"), ("w", "w")]
    assert names(pair(f"{slices}/v1.tif", stack())) == [("v1", "v1")]
    assert names(pair(slices, stack(), stems=["v1"])) == [("v1", "v1")]
    with pytest.raises(InputError, match="no truth for mine in store"):
        pair(touch(tmp_path / "m", "mine.tif") + "/mine.tif", stack())
    lacking = touch(tmp_path / "x", "v0.tif", "w.tif", "x.tif")
    with pytest.raises(InputError, match=r"^no prediction for v1 in .*; no truth for x in store$"):
        pair(lacking, stack())


def test_one_volume_fits_a_file_of_any_name(tmp_path):
    folder = touch(tmp_path / "p", "mine.tif", "v0.tif")
    assert names(pair(f"{folder}/mine.tif", stack(single=True))) == [("mine", "v")]
    assert names(pair(f"{folder}/v0.tif", stack(single=True))) == [("v0", "v0")]
    (tmp_path / "p" / "mine.tif").rename(tmp_path / "p" / "v1.tif")
    assert names(pair(folder, stack(single=True))) == [("v0", "v0"), ("v1", "v1")]


def test_names_of_a_set_are_those_of_files_made_fit(tmp_path):
    place = touch(tmp_path / "p", "x 1.tif")
    truth = LabelSource(
        "q", {"x_1": lazy("x_1")}, {"x_1": lazy("x_1")}, as_name=lambda stem: stem.replace(" ", "_")
    )
    assert pair(place, truth) == [Pair("x_1", f"{place}/x 1.tif", lazy("x_1"))]
    assert names(pair(place, truth, stems=["x 1"])) == [("x_1", "x_1")]
    touch(tmp_path / "p", "x_1.tif")
    with pytest.raises(InputError, match=r"x 1\.tif and .*x_1\.tif are both called x_1"):
        pair(place, truth)


def test_two_sets_are_paired_by_volumes():
    assert names(pair(stack(), stack())) == [("v", "v"), ("w", "w")]


def test_labels_of_both_kinds_are_opened(tmp_path):
    write_labels(tmp_path / "a.tif", np.eye(3, dtype=int))
    with open_labels(str(tmp_path / "a.tif")) as file, open_labels(lazy("b")) as other:
        assert (file.whole() == np.eye(3)).all()
        assert other.whole().tolist() == [[1, 1], [1, 1]]


def test_faults_of_all_predictions_are_one_error(tmp_path):
    truth = tmp_path / "t"
    truth.mkdir()
    for name in "ab":
        write_labels(truth / f"{name}.tif", np.ones((4, 4), int))
    first, second = touch(tmp_path / "1"), touch(tmp_path / "2", "a.tif")
    write_labels(tmp_path / "1" / "a.tif", np.ones((4, 5), int))
    with pytest.raises(InputError) as error:
        pair_predictions([first, second, str(tmp_path / "nowhere"), str(truth)], str(truth))
    message = str(error.value)
    assert message.startswith(f"{tmp_path / 'nowhere'} does not exist")
    assert f"no prediction for b in {first}; no prediction for b in {second}: add the files" in message
    assert f"{first}: a: the prediction has shape (4, 5) and the truth (4, 4)" in message
    assert f"{second}: a: {second}/a.tif" in message
    assert f"{truth}: " not in message
    good, notes = pair_predictions([str(truth)], str(truth))
    assert [pair.name for pair in good[str(truth)]] == ["a", "b"]
    assert notes == []


def test_a_store_of_tiff_pairs_is_refused(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "manifest.json").write_text(f'{{"format": "{FORMAT}"}}', encoding="utf-8")
    with pytest.raises(InputError, match="import its release again"):
        find_labels(str(tmp_path / "old"))


@pytest.mark.parametrize(
    ("first", "second"),
    [("a_gt.tif", "b_gt.tif"), ("a.labels.tif", "b.labels.tif"), ("a.ome_Labels.tif", "b.ome_Labels.tif")],
)
def test_marks_that_all_files_have(tmp_path, first, second):
    touch(tmp_path, first, second)
    assert set(label_files(str(tmp_path)).slices) == {"a", "b"}
    # One name that ends so by chance is no mark.
    touch(tmp_path, "c.tif")
    if "Labels" not in first:
        assert len(label_files(str(tmp_path)).slices) == 3
