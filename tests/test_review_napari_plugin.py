"""The napari plugin: its manifest, its layers, and its panels beside a viewer without a window."""

import json
import os
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fake_networks import use_rule_models
from results_folders import discs, image_of, write_results
from small_models import GENERATOR_ALONE, write_model

import autosam
from autosam.config import load_config
from autosam.images import read_labels
from autosam.models.files.checkpoint import read_header
from autosam.models.files.model_file import load_networks
from autosam.pipeline import batch_workers
from autosam.review.corrections import Correction
from autosam.review.corrections_file import append_corrections, read_corrections

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.importorskip("pytestqt", reason="pytest-qt is not installed")
with warnings.catch_warnings():
    # Those of napari's own packages are theirs.
    warnings.simplefilter("ignore", DeprecationWarning)
    pytest.importorskip("napari", reason="napari is not installed: pip install 'autosam[napari]'")
    from napari.components import ViewerModel
    from npe2 import PluginManifest

    from autosam.review.napari_plugin import results_layers, run_panels
    from autosam.review.napari_plugin.review_panel import ANSWER, BOX, CHOSEN, ON, ReviewPanel
    from autosam.review.napari_plugin.run_panels import AdaptPanel, SegmentPanel

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
THREE = discs([(20, 20, 8), (20, 60, 8), (60, 90, 9)])
MANIFEST = Path(autosam.__file__).parent / "review" / "napari_plugin" / "napari.yaml"


@pytest.fixture
def panel(qtbot, tmp_path):
    """Open two images of results, whose model is gone."""
    write_results(tmp_path / "out", {"a": THREE, "b": discs([(30, 30, 12)])})
    made = ReviewPanel(ViewerModel())
    qtbot.addWidget(made)
    made.open(tmp_path / "out")
    return made


def add_layers(viewer, layers):
    for data, options, kind in layers:
        getattr(viewer, f"add_{kind}")(data, **options)


def click(panel, row, col, *modifiers, drag=False):
    event = SimpleNamespace(type="mouse_press", position=(row, col), modifiers=modifiers)
    callback = panel.objects.mouse_drag_callbacks[-1]
    going_on = callback(panel.objects, event)
    next(going_on)
    event.type = "mouse_move" if drag else "mouse_release"
    next(going_on, None)


def saved(folder):
    return [(one.image, one.action, one.objects) for one in read_corrections(folder / "corrections.csv")]


def test_the_manifest_is_valid_and_names_what_is_there():
    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert manifest.name == "autosam"
    assert {widget.display_name for widget in manifest.contributions.widgets} == {
        "Segment",
        "Correct results",
        "Adapt a model",
    }
    for sample in manifest.contributions.sample_data:
        command = next(one for one in manifest.contributions.commands if one.id == sample.command)
        ((pixels, options, kind),) = getattr(results_layers, command.python_name.split(":")[1])()
        assert (kind, options["rgb"], pixels.ndim) == (
            "image",
            pixels.ndim == 3,
            3 if "stained" in sample.key else 2,
        )


def test_results_are_read_as_layers(tmp_path):
    folder = write_results(tmp_path / "out", {"a": THREE})
    assert results_layers.get_reader(str(tmp_path)) is None
    assert results_layers.get_reader([str(folder), str(folder)]) is None
    for path in (str(folder), [str(folder)], str(folder / "autosam_run.json")):
        (image, _, kind), (labels, options, labels_kind) = results_layers.get_reader(path)(path)
        assert (kind, labels_kind) == ("image", "labels")
        assert np.array_equal(image, image_of(THREE))
        assert np.array_equal(labels, THREE)
        assert options["features"]["index"].tolist() == [0, 1, 2, 3]
        np.testing.assert_allclose(options["features"]["score"], [np.nan, 0.6, 0.75, 0.9])
    # Labels alone, without the image.
    (tmp_path / "images" / "a.tif").unlink()
    assert [kind for _, _, kind in results_layers.get_reader(path)(path)] == ["labels"]


def test_clicks_select_and_buttons_save(panel, tmp_path):
    click(panel, 20, 60)
    assert panel.chosen == [2]
    assert np.array_equal(panel.viewer.layers[CHOSEN].data > 0, THREE == 2)
    click(panel, 60, 90, "Shift")
    assert panel.chosen == [2, 3]
    click(panel, 20, 60, "Shift")
    click(panel, 20, 20, drag=True)
    assert panel.chosen == [3]
    panel.act("accept")
    click(panel, 20, 20)
    panel.act("delete")
    assert panel.objects.data.max() == 2
    assert panel.objects.features["action"].tolist() == ["", "", "accept"]
    assert saved(tmp_path / "out") == [("a", "accept", (3,)), ("a", "delete", (1,))]
    panel.act("reviewed")
    panel.act("undo")
    assert len(saved(tmp_path / "out")) == 2
    panel.images.textActivated.emit("b")
    assert [layer.name for layer in panel.viewer.layers][:2] == ["b", "b objects"]
    click(panel, 30, 30)
    panel.act("delete")
    assert saved(tmp_path / "out")[2:] == [("b", "delete", (1,))]
    assert panel.objects.data.max() == 0
    # What was saved is there again.
    again = ReviewPanel(ViewerModel())
    again.open(tmp_path / "out")
    assert again.objects.data.max() == 2


def test_points_split_and_painting_draws(panel, tmp_path):
    panel.viewer.layers[ON].data = [[20, 15], [20, 25]]
    panel.act("split")
    assert panel.objects.data[20, 15] != panel.objects.data[20, 25]
    assert len(panel.viewer.layers[ON].data) == 0
    panel.viewer.layers[ANSWER].data[80:84, 10:14] = 1
    panel.act("add")
    first, second = read_corrections(tmp_path / "out" / "corrections.csv")
    assert (first.action, first.objects, first.points) == ("split", (1,), ((20, 15), (20, 25)))
    assert (second.action, second.mask, second.by) == ("add", "80 10 4 4: 0 16", "hand")


def test_what_cannot_be_done_is_said_and_not_saved(panel, tmp_path):
    panel.act("merge")
    assert panel.said.text() == "merge takes objects; click on one, and shift-click on more"
    panel.act("add")
    assert "there is no answer of SAM yet" in panel.said.text()
    panel.select([1, 3])
    panel.act("merge")
    assert "more than 16 pixels apart" in panel.said.text()
    assert panel.chosen == [1, 3]
    panel.open(tmp_path)
    assert "autosam_run.json" in panel.said.text()
    assert not (tmp_path / "out" / "corrections.csv").exists()
    ReviewPanel(ViewerModel()).act("delete")


def test_what_another_program_has_changed_is_shown_when_it_is_refused(panel, tmp_path, qtbot):
    click(panel, 60, 90)
    append_corrections(tmp_path / "out" / "corrections.csv", [Correction("a", "delete", (3,))])
    panel.act("accept")
    qtbot.wait(100)
    assert panel.said.text() == "another program has changed object 3 meanwhile; choose again"
    assert (panel.objects.data.max(), panel.chosen) == (2, [])


def test_without_the_model_a_click_says_why(panel, qtbot):
    panel.viewer.layers[ON].data = [[20, 20]]
    qtbot.waitUntil(lambda: "gone.safetensors that made the results is gone" in panel.said.text(), timeout=60_000)
    qtbot.waitUntil(lambda: not panel.tasks["ask"])


@pytest.fixture
def segmented(qtbot, tmp_path, monkeypatch):
    """Segment a layer in the panel with a model that finds bright components."""
    use_rule_models(monkeypatch)
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "model.safetensors"
    model.write_bytes(b"stands for the weights")
    made = SegmentPanel(ViewerModel())
    qtbot.addWidget(made)
    made.model.setCurrentText(str(model))
    made.out.setText(str(tmp_path))
    return made


def run(panel, qtbot):
    panel.segment()
    assert not panel.start.isEnabled()
    qtbot.waitUntil(panel.start.isEnabled, timeout=120_000)


def test_a_layer_is_segmented_and_sam_answers(segmented, qtbot, tmp_path):
    segmented.segment()
    assert segmented.said.text() == "open an image first"
    segmented.viewer.add_image(image_of(THREE), name="cells")
    assert segmented.layer.currentText() == "cells"
    panel = ReviewPanel(segmented.viewer)
    run(segmented, qtbot)
    assert segmented.bar.value() == 100
    assert read_labels(tmp_path / "cells" / "cells_labels.tif").max() == 3
    # The results were opened, also in the panel that corrects them.
    assert panel.review.image.name == "cells"
    panel.select([1])
    panel.act("delete")
    panel.viewer.layers[ON].data = [[20, 20]]
    qtbot.waitUntil(lambda: "SAM's answer has the score" in panel.said.text(), timeout=60_000)
    assert np.array_equal(panel.viewer.layers[ANSWER].data > 0, THREE == 1)
    panel.act("add")
    panel.viewer.layers[BOX].data = [np.array([[50, 80], [50, 100], [70, 100], [70, 80]])]
    panel.act("reviewed")
    _, added, reviewed = read_corrections(tmp_path / "cells" / "corrections.csv")
    assert (added.action, added.by, added.points) == ("add", "sam", ((20, 20),))
    assert reviewed.box == (50, 80, 70, 100)
    assert np.array_equal(panel.objects.data > 0, THREE > 0)
    # A second run has a folder of its own.
    run(segmented, qtbot)
    assert (tmp_path / "cells_1" / "autosam_run.json").exists()


def test_each_slice_of_a_stack_is_segmented_until_it_is_cancelled(segmented, qtbot, tmp_path):
    segmented.viewer.add_image(np.stack([image_of(THREE)] * 3), name="stack")
    segmented.segment()
    segmented.task.cancel()
    qtbot.waitUntil(segmented.start.isEnabled, timeout=120_000)
    assert segmented.said.text() == "cancelled; what was done is kept"
    assert [layer.name for layer in segmented.viewer.layers] == ["stack"]
    run(segmented, qtbot)
    folder = tmp_path / "stack_1"
    assert len(list(folder.glob("*_labels.tif"))) == 3
    assert [layer.name for layer in segmented.viewer.layers][1:] == ["stack_0000", "stack_0000 objects"]


def test_a_layer_can_have_a_name_that_no_file_can(segmented, qtbot, tmp_path):
    segmented.viewer.add_image(image_of(THREE), name="day1/a")
    run(segmented, qtbot)
    assert (tmp_path / "day1__a" / "day1__a_labels.tif").exists()


def test_a_stack_becomes_objects_in_3d(segmented, qtbot, tmp_path, monkeypatch):
    monkeypatch.setattr(batch_workers, "settings_of_model", lambda *_, **__: load_config())
    # The second object ends in the middle of the stack.
    truth = np.stack([THREE, THREE, np.where(THREE == 2, 0, THREE)])
    segmented.viewer.add_image(np.stack([image_of(one) for one in truth]), name="stack")
    segmented.stack.setCurrentText("objects in 3D")
    segmented.pixel_size.setValue(8)
    panel = ReviewPanel(segmented.viewer)
    run(segmented, qtbot)
    assert [layer.name for layer in segmented.viewer.layers] == ["stack", "stack objects"], segmented.said.text()
    assert segmented.bar.value() == 100
    shown = segmented.viewer.layers["stack objects"].data
    assert np.array_equal(shown > 0, truth > 0)
    # One id for each object in all of its slices.
    assert [len(np.unique(shown[truth == number])) for number in (1, 2, 3)] == [1, 1, 1]
    assert shown.max() == 3
    assert np.array_equal(read_labels(tmp_path / "stack" / "stack.tif"), shown)
    assert json.loads((tmp_path / "stack" / "stack_run.json").read_text())["voxel_size_nm"] == [8, 8, 8]
    # Volumes are not corrected here.
    assert panel.review is None


def test_a_model_is_adapted_from_the_panel(qtbot, tmp_path):
    many = discs([(row, col, 8) for row in (20, 50, 80) for col in (20, 50, 80, 110)])
    panel = ReviewPanel(ViewerModel())
    qtbot.addWidget(panel)
    panel.open(write_results(tmp_path / "out", {"a": many}))
    panel.select([12])
    panel.act("delete")
    panel.act("reviewed")
    model = write_model(tmp_path / "small.safetensors", *GENERATOR_ALONE, "tiles.size=64", "images.diameter=17")
    adapting = AdaptPanel(panel.viewer)
    qtbot.addWidget(adapting)
    adapting.model.setCurrentText(str(model))
    adapting.name.setText("ours")
    adapting.minutes.setValue(0.1)
    adapting.adapt()
    assert not adapting.start.isEnabled()
    qtbot.waitUntil(adapting.start.isEnabled, timeout=900_000)
    told = adapting.output.toPlainText()
    assert "2 corrections applied to 1 image: 12 objects before, 11 now" in told
    assert "1 image with 11 objects" in told
    assert told.endswith("done")
    record = read_header(tmp_path / "ours.safetensors").training["adapted"]
    assert record["data"]["objects"] == 11
    assert record["planned"] == "generator"
    assert record["steps"] >= 10
    load_networks(tmp_path / "ours.safetensors")


def test_a_model_is_adapted_in_another_process(panel, qtbot, tmp_path, monkeypatch):
    adapting = AdaptPanel(panel.viewer)
    qtbot.addWidget(adapting)
    told = "import sys, time; print('got', *sys.argv[1:], flush=True); time.sleep(30 * (sys.argv[1] == 'adapt'))"
    monkeypatch.setattr(run_panels, "PROGRAM", ("-c", told))
    adapting.name.setText("ours")
    adapting.adapt()
    out, fixed = tmp_path / "out", tmp_path / "out_fixed"
    apply = f"got apply {out} {out / 'corrections.csv'} -o {fixed} --overwrite"
    adapt = f"got adapt {fixed} -m mito -o {tmp_path / 'ours'} --minutes 10"
    qtbot.waitUntil(lambda: adapt in adapting.output.toPlainText(), timeout=60_000)
    assert apply in adapting.output.toPlainText()
    adapting.cancel()
    qtbot.waitUntil(adapting.start.isEnabled, timeout=30_000)
    assert adapting.output.toPlainText().endswith("ended without a new model")
    monkeypatch.setattr(run_panels, "PROGRAM", ("-c", "import sys; sys.exit(2)"))
    adapting.adapt()
    qtbot.waitUntil(adapting.start.isEnabled, timeout=30_000)
    assert "autosam adapt" not in adapting.output.toPlainText()


def test_the_program_is_autosam(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["-c", "--version"])
    with pytest.raises(SystemExit):
        exec(run_panels.PROGRAM[-1], {})
    assert autosam.__version__ in capsys.readouterr().out
