"""The napari plugin in a real window on a virtual display: found by its manifest, clicked with a mouse."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest
from results_folders import discs, write_results

from autosam.review.corrections_file import read_corrections

SCRIPT = """
import json, os, sys
from pathlib import Path
import napari
import numpy as np
from npe2 import PluginManager, PluginManifest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
import autosam.review.napari_plugin as plugin

viewer = napari.Viewer()
manifest = Path(plugin.__file__).with_name("napari.yaml")
if "autosam" not in PluginManager.instance():
    PluginManager.instance().register(PluginManifest.from_file(manifest))
viewer.open(sys.argv[1], plugin="autosam")
dock, panel = viewer.window.add_plugin_dock_widget("autosam", "Correct results")
viewer.window.add_plugin_dock_widget("autosam", "Segment")
viewer.camera.center, viewer.camera.zoom = (60, 90), 4
canvas = viewer.window._qt_viewer.canvas.native
QTest.qWait(200)
QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, canvas.rect().center())
chosen = list(panel.chosen)
panel.act("delete")
seen = viewer.screenshot(canvas_only=True, flash=False)[..., :3]
layers = [layer.name for layer in viewer.layers]
panel.images.textActivated.emit("b")
QTest.qWait(200)
after = [layer.name for layer in viewer.layers]
colors = len(np.unique(seen.reshape(-1, 3), axis=0))
print(json.dumps({"chosen": chosen, "layers": layers, "after": after, "colors": colors}))
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("napari") is None, reason="napari is not installed: pip install 'autosam[napari]'")
@pytest.mark.skipif(find_spec("pytestqt") is None, reason="pytest-qt is not installed, or Qt cannot be loaded")
@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="xvfb is not installed")
def test_an_object_is_deleted_in_a_window(tmp_path):
    folder = write_results(tmp_path / "out", {"a": discs([(20, 20, 8), (60, 90, 9)]), "b": discs([(20, 20, 8)])})
    display = ["xvfb-run", "-a", "-s", "-screen 0 1280x800x24"]
    environment = {key: text for key, text in os.environ.items() if key != "QT_QPA_PLATFORM"}
    done = subprocess.run(
        [*display, sys.executable, "-c", SCRIPT, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "NAPARI_CONFIG": str(tmp_path / "settings.yaml")},
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["chosen"] == [2]
    assert told["layers"][:2] == ["a", "a objects"]
    assert told["colors"] > 10
    # Another image takes the place of the first one, and napari complains of nothing.
    assert told["after"] == ["b", "b objects", *told["layers"][2:]]
    assert "Traceback" not in done.stderr
    assert [(one.action, one.objects) for one in read_corrections(folder / "corrections.csv")] == [
        ("delete", (2,))
    ]
