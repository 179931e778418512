"""The panels that segment a layer in a thread, and adapt a model in a process of its own."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.qt.threading import create_worker
from qtpy import QtWidgets
from qtpy.QtCore import QObject, QProcess, QTimer, Signal
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QLabel, QLineEdit, QProgressBar, QWidget

from autosam.errors import AutosamError
from autosam.models.files.zoo import BUNDLED
from autosam.review.napari_plugin.results_layers import FOLDER, layers_of
from autosam.review.page.make_review import corrections_file
from autosam.review.review_results import ReviewResults
from autosam.review.segment_arrays import free_folder, plain_name, segment_slices, segment_stack

PROMPTS = ON, BESIDE, BOX, ANSWER, CHOSEN = "points on the object", "points beside it", "box", "answer", "selected"
"""Layers of prompts, which lie above results."""
Call = Callable[..., Any]
PROGRAM = ("-u", "-c", "from autosam.cli import main; main()")


def show_results(viewer: Any, results: ReviewResults, name: str | None = None) -> Labels:
    """Show an image of a folder of results in the place of any other, below the layers of prompts.

    Returns
    -------
    Labels
        The layer of its objects, which lies above its pixels.
    """
    for layer in [layer for layer in viewer.layers if FOLDER in layer.metadata]:
        viewer.layers.remove(layer)
    above = (place for place, layer in enumerate(viewer.layers) if layer.name in PROMPTS)
    place = min(above, default=len(viewer.layers))
    shown = [Layer.create(*layer) for layer in layers_of(results, name)]
    for number, layer in enumerate(shown):
        viewer.layers.insert(place + number, layer)
    return shown[-1]


class Cancelled(Exception):  # noqa: N818 -- nothing went wrong
    """Somebody has cancelled the work of a thread."""


class Background(QObject):
    """Something that runs in a thread of napari, while the window goes on.

    Parameters
    ----------
    work : callable
        Is given a function that takes the share that is done.
    done, told, last, share : callable
        Called in the thread of the window: with the result; with a message if there is none; at the end in any
        case; with the share that is done.
    """

    _share = Signal(float)

    def __init__(self, work: Call, done: Call, told: Call, last: Call, share: Call) -> None:
        super().__init__()
        self._cancelled, self._told = Event(), told
        self._share.connect(share)
        self._worker = create_worker(work, self._tell, _start_thread=False, _ignore_errors=True)
        self._worker.returned.connect(done)
        self._worker.errored.connect(self._failed)
        self._worker.finished.connect(last)
        self._worker.start()

    def cancel(self) -> None:
        """End it when it next tells its share."""
        self._cancelled.set()

    def _tell(self, share: float) -> None:
        if self._cancelled.is_set():
            raise Cancelled("cancelled; what was done is kept")
        self._share.emit(share)

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, AutosamError | Cancelled):
            raise error
        self._told(str(error))


class _Panel(QWidget):
    """Fields with their titles, a button that starts something, and one that cancels it."""

    def __init__(self, viewer: Any, start: str, fields: dict[str, QWidget], below: list[QWidget]) -> None:
        super().__init__()
        self.viewer, form = viewer, QtWidgets.QFormLayout(self)
        self.start, self.stop = QtWidgets.QPushButton(start), QtWidgets.QPushButton("Cancel", enabled=False)
        for title, field in fields.items():
            form.addRow(title, field)
        for field in (self.start, self.stop, *below):
            form.addRow(field)

    def _set_running(self, running: bool) -> None:
        self.start.setEnabled(not running)
        self.stop.setEnabled(running)


class SegmentPanel(_Panel):
    """Segment an image, a stack slice by slice, or a volume, and open the results."""

    def __init__(self, napari_viewer: Any) -> None:
        self.layer, self.model, self.stack = QComboBox(), QComboBox(editable=True), QComboBox()
        self.pixel_size = QDoubleSpinBox(maximum=1e6, decimals=2, specialValueText="not known", suffix=" nm")
        self.out = QLineEdit(str(Path.home() / "autosam"))
        self.bar, self.said = QProgressBar(), QLabel(wordWrap=True)
        fields = {"Image": self.layer, "Model": self.model, "Pixel size": self.pixel_size, "Stacks": self.stack}
        super().__init__(napari_viewer, "Segment", {**fields, "Results in": self.out}, [self.bar, self.said])
        self.model.addItems(list(BUNDLED))
        self.stack.addItems(["each slice alone", "objects in 3D"])
        self.task: Background | None = None
        self.start.clicked.connect(lambda: self.segment())
        self.stop.clicked.connect(lambda: self.task and self.task.cancel())
        for event in (self.viewer.layers.events.inserted, self.viewer.layers.events.removed):
            event.connect(lambda: self._list_layers())
        self._list_layers()

    def segment(self) -> None:
        """Segment the chosen layer in a thread; the results go into a new folder, which is then opened."""
        name, parent = self.layer.currentText(), Path(self.out.text()).expanduser()
        if name not in self.viewer.layers:
            self.said.setText("open an image first")
            return
        layer = self.viewer.layers[name]
        pixels, volume = np.asarray(layer.data), self.stack.currentIndex() == 1 and layer.ndim == 3
        out = free_folder(parent / plain_name(name))
        segment = segment_stack if volume else partial(segment_slices, rgb=layer.rgb)
        given = {"model": self.model.currentText(), "pixel_size_nm": self.pixel_size.value() or None}
        self._set_running(True)
        self.said.setText(f"results: {out}")
        self.task = Background(
            lambda tell: segment(pixels, out, name, progress=tell, **given),
            self._show,
            self.said.setText,
            lambda: self._set_running(False),
            lambda share: self.bar.setValue(round(100 * share)),
        )

    def _show(self, found: Any) -> None:
        if isinstance(found, ReviewResults):
            show_results(self.viewer, found)
        else:
            self.viewer.add_labels(found, name=f"{self.layer.currentText()} objects")

    def _list_layers(self) -> None:
        chosen = self.layer.currentText()
        self.layer.clear()
        self.layer.addItems([layer.name for layer in self.viewer.layers if isinstance(layer, Image)])
        self.layer.setCurrentText(chosen)


class AdaptPanel(_Panel):
    """Apply the corrections of the open results and adapt a model to them, in the background."""

    def __init__(self, napari_viewer: Any) -> None:
        self.model, self.name = QComboBox(editable=True), QLineEdit("mine")
        self.minutes = QDoubleSpinBox(minimum=0.1, maximum=600, value=10, suffix=" min")
        self.output = QtWidgets.QPlainTextEdit(readOnly=True)
        fields = {"From": self.model, "New model": self.name, "Time": self.minutes}
        super().__init__(napari_viewer, "Adapt", fields, [self.output])
        self.model.addItems(list(BUNDLED))
        self.commands: list[list[str]] = []
        self.start.clicked.connect(lambda: self.adapt())
        self.stop.clicked.connect(lambda: self.cancel())
        self.process = QProcess(self)
        self.process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        self.process.readyReadStandardOutput.connect(self._read)
        self.process.finished.connect(lambda code, _: self._ended(code))
        # That a cancelled command has to clear up.
        self.grace = QTimer(self, singleShot=True, interval=5000)
        self.grace.timeout.connect(self.process.kill)

    def adapt(self) -> None:
        """Start `autosam apply` and then `autosam adapt`; what they print is shown."""
        self.output.clear()
        folders = {layer.metadata[FOLDER] for layer in self.viewer.layers if FOLDER in layer.metadata}
        if len(folders) != 1:
            self.output.setPlainText("open results and correct them first")
            return
        results = Path(folders.pop())
        fixed, new = (results.with_name(name) for name in (f"{results.name}_fixed", self.name.text()))
        apply = ["apply", str(results), str(corrections_file(results)), "-o", str(fixed), "--overwrite"]
        adapt = ["adapt", str(fixed), "-m", self.model.currentText(), "-o", str(new)]
        self.commands = [apply, [*adapt, "--minutes", f"{self.minutes.value():g}"]]
        self._next()

    def cancel(self) -> None:
        """End what runs; what is not whole is not written."""
        self.commands = []
        # Asked to end, it takes away what is half written.
        self.process.terminate()
        self.grace.start()

    def _next(self) -> None:
        command = self.commands.pop(0)
        self.output.appendPlainText(f"autosam {' '.join(command)}\n")
        self._set_running(True)
        self.process.start(sys.executable, [*PROGRAM, *command])

    def _read(self) -> None:
        self.output.insertPlainText(bytes(self.process.readAllStandardOutput()).decode(errors="replace"))

    def _ended(self, code: int) -> None:
        self.grace.stop()
        if code == 0 and self.commands:
            self._next()
        else:
            self._set_running(False)
            self.output.appendPlainText("done" if code == 0 else "ended without a new model")
