"""The script that checks the promise of the novelty: its images, and its summary of figures known by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
from blobs import labeled_image
from script_modules import load_script

study = load_script("study_novelty")


def row(group, novelty, score=""):
    return dict(zip(study.COLUMNS, (group, "a", "9", "1", str(novelty), str(score)), strict=True))


def test_the_summary_counts_what_is_unlike_and_ranks_scores():
    rows = [row("home", 0.5), row("home", 1.5), row("home", 0.7), row("home", 0.9), row("foreign x", 2)]
    rows += [row("ranked s", 0.4, 0.9), row("ranked s", 0.6, 0.7), row("ranked s", 0.9, 0.1)]
    rows += [row("changed s", 0.1, 0), row("blank", "")]
    lines = list(study.summary(rows))
    assert lines[0].split() == [
        *("home", "4", "images,", "25.0", "%", "unlike,"),
        *("novelty", "0.80", "(0.53", "to", "1.41)"),
    ]
    assert "100.0 % unlike" in lines[1]
    assert lines[-2].endswith("images as they are: -1.00")
    # Of four, the most familiar one has the lowest score.
    assert lines[-1].endswith("with changed ones: 0.20")
    assert not any("blank" in line for line in lines)


def test_windows_of_an_image_do_not_depend_on_the_others():
    items = [labeled_image(seed, side=400) for seed in range(2)]
    both, one = (list(study.at_home(given, 20, 2)) for given in (items, items[:1]))
    assert [given.group for given in one] == ["home", *["window 256"] * 2, *["window 384"] * 2]
    for mine, other in zip(one, both, strict=False):
        assert mine.name == other.name
        assert np.array_equal(mine.image, other.image)


@pytest.mark.parametrize("most", [1, 2, 3, 7, 9])
def test_spread_takes_images_over_all(most):
    taken = study.spread(list(range(7)), most)
    assert len(taken) == min(most, 7)
    assert taken == sorted(set(taken))
    if most == 1:
        assert taken == [3]


def test_changed_images_keep_their_labels_in_place():
    item = labeled_image(0)
    names = []
    for name, image, labels in study.changed(item.image, item.labels):
        names.append(name)
        assert image.dtype == np.uint8
        assert image.shape[:2] == labels.shape
        assert set(np.unique(labels)) <= set(np.unique(item.labels))
        if name.startswith("zoom"):
            # Objects are bright, and stay so.
            assert image[labels > 0].mean() > 2 * image[labels == 0].mean()
    assert len(names) == len(set(names)) == 12


def test_a_row_has_the_score_of_the_generators_own_segmentation():
    item = labeled_image(0)
    segmenter = SimpleNamespace(
        view=lambda image, zoom: SimpleNamespace(zoom=zoom or 1.0),
        predict=lambda view: SimpleNamespace(novelty=0.25),
        propose=lambda view, maps: None,
        merge=lambda view, maps, proposals, masks: SimpleNamespace(labels=item.labels),
    )
    given = study.Given("ranked s", "a", item.image, item.labels)
    assert study.measure(segmenter, given) == row("ranked s", "0.2500", "1.0000") | {"rows": "96"}
    assert study.measure(segmenter, given._replace(labels=None))["score"] == ""
    assert study.measure(segmenter, given._replace(zoom=0.5))["zoom"] == "0.5"
