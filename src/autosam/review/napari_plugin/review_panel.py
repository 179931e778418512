"""The panel that corrects results: clicks on layers become corrections.csv, and SAM answers prompts at once."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QComboBox, QFileDialog, QGridLayout, QLabel, QListWidget, QPushButton, QWidget

from autosam.errors import AutosamError, InputError
from autosam.instances import MaskCrop
from autosam.review.corrections import DRAWING, Action, Correction, fault_in
from autosam.review.find_doubts import FoundDoubts, find_doubts
from autosam.review.image_review import ImageReview, with_mask
from autosam.review.napari_plugin.results_layers import FOLDER, IMAGE
from autosam.review.napari_plugin.run_panels import ANSWER, BESIDE, BOX, CHOSEN, ON, Background, show_results
from autosam.review.object_features import features_of
from autosam.review.page.make_review import corrections_file
from autosam.review.review_results import ReviewResults
from autosam.review.server.live_answers import LiveAnswers

BUTTONS: dict[Action, str] = {
    "accept": "The selected objects are right",
    "delete": "Remove the selected objects",
    "merge": "Make one object of the selected ones; shift-click selects several",
    "split": "Cut an object; put a point on each part",
    "redraw": "Replace the selected object by the answer",
    "add": "Add the answer as a new object",
    "reviewed": "All in the box, or in the whole image, is right now",
    "undo": "Take back the last correction of this image",
}


class ReviewPanel(QWidget):
    """Correct the results of one image after the other.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Results that are open in it, or will be opened, are taken at once.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.results: ReviewResults
        self.review: ImageReview | None = None
        self.chosen: list[int] = []
        self.tasks: dict[str, Background | None] = {}
        self._again = False
        self._timer = QTimer(self, singleShot=True, interval=40, timeout=self.ask)
        grid = QGridLayout(self)
        self.images, self.doubts = QComboBox(), QListWidget(wordWrap=True)
        self.said = QLabel("Open results.", wordWrap=True)
        self.images.textActivated.connect(lambda name: self._try(self._show_image, name))
        self.doubts.currentRowChanged.connect(lambda row: self._try(self._show_doubt, row))
        choose = partial(QFileDialog.getExistingDirectory, self, "Results of autosam")
        buttons = [("Open ...", "A folder that autosam segment wrote", lambda: self.open(choose()))]
        buttons += [("Where to look &first", "What is doubtful in all images", self.look)]
        buttons += [(f"&{name.capitalize()}", tip, partial(self.act, name)) for name, tip in BUTTONS.items()]
        for place, (text, tip, clicked) in enumerate(buttons):
            button = QPushButton(text, toolTip=tip)
            button.clicked.connect(partial(lambda do, _: do(), clicked))
            grid.addWidget(button, place // 2 + (place > 1), place % 2)
        for row, field in ((1, self.images), (6, self.said), (7, self.doubts)):
            grid.addWidget(field, row, 0, 1, 2)
        self.viewer.layers.events.inserted.connect(lambda event: self._adopt(event.value))
        for layer in list(self.viewer.layers):
            self._adopt(layer)

    def open(self, folder: str | Path, name: str | None = None) -> None:
        """Show an image of a folder of results, by default the first, with what was corrected before."""
        if folder:
            self._try(self._open, folder, name)

    def select(self, numbers: list[int]) -> None:
        """Select objects by the ids that are shown."""
        self.chosen = numbers
        self.viewer.layers[CHOSEN].data = np.isin(self.objects.data, numbers).astype(np.uint8)
        self._tell()
        self._timer.start()

    def act(self, action: Action) -> None:
        """Do what a button says, and save it."""
        self._try(self._act, action)

    def ask(self) -> None:
        """Ask SAM about the points and the box; the answer is shown when it comes."""
        question = self._question()
        if question is None or fault_in(question):
            self._show_answer(None)
        elif self.tasks.get("ask"):
            self._again = True
        else:
            self._again, answers = False, self.answers

            def show(crop: MaskCrop | None) -> None:
                # The points can be others by now, and the image as well.
                self._show_answer(crop if question == self._question() else None)

            self._run("ask", lambda _: answers.answer(question), show)

    def look(self) -> None:
        """List what is doubtful in all images, most doubtful first."""
        if self.review is not None and not self.tasks.get("look"):
            results = self.results
            self._run("look", lambda tell: find_doubts(results, progress=lambda n, of: tell(n / of)), self._list)

    def _open(self, folder: str | Path, name: str | None) -> None:
        if self.review is None or Path(folder) != self.results.folder:
            self.results = ReviewResults.open(folder)
            self.answers = LiveAnswers(self.results)
            self.answers.load()
            self.images.clear()
            self.images.addItems(list(self.results.images))
        self._show_image(name or next(iter(self.results.images)))

    def _show_image(self, name: str) -> None:
        self.review = ImageReview(self.results, name, corrections_file(self.results.folder))
        about = {FOLDER: str(self.results.folder), IMAGE: name}
        labels = (layer for layer in self.viewer.layers if isinstance(layer, Labels))
        own = [layer for layer in labels if about.items() <= layer.metadata.items()]
        self.objects = own[0] if own else show_results(self.viewer, self.results, name)
        self.objects.contour = 2
        # napari has callbacks of its own there.
        if self._clicked not in self.objects.mouse_drag_callbacks:
            self.objects.mouse_drag_callbacks.append(self._clicked)
        self.images.setCurrentText(name)
        size = max(3, round(max(self.objects.data.shape) / 80))
        for title, color in ((ANSWER, "yellow"), (CHOSEN, "white")):
            if title not in self.viewer.layers:
                empty, colors = np.zeros(self.objects.data.shape, np.uint8), {None: "transparent", 1: color}
                self.viewer.add_labels(empty, name=title, colormap=colors).contour = 1
        for title, color in ((BOX, "lime"), (BESIDE, "red"), (ON, "lime")):
            if title not in self.viewer.layers:
                add = self.viewer.add_shapes if title == BOX else self.viewer.add_points
                given = {"edge_color": color, "edge_width": size / 4} if title == BOX else {"size": size}
                layer = add(ndim=2, name=title, face_color="transparent" if title == BOX else color, **given)
                layer.mode = "add_rectangle" if title == BOX else "add"
                layer.events.data.connect(lambda: self._timer.start())
        self._refresh()

    def _refresh(self) -> None:
        assert self.review is not None
        self.objects.data = self.review.corrected.labels
        self.objects.features = features_of(self.review.corrected.scores, self.review.corrected)
        for name in (ON, BESIDE, BOX):
            self.viewer.layers[name].data = [] if name == BOX else np.zeros((0, 2))
        self.viewer.layers.selection.active = self.objects
        self._show_answer(None)
        self.select([])

    def _adopt(self, layer: Any) -> None:
        """Take results that napari has opened."""
        folder, name = layer.metadata.get(FOLDER), layer.metadata.get(IMAGE)
        shown = self.review is not None and (str(self.results.folder), self.review.image.name) == (folder, name)
        if folder and isinstance(layer, Labels) and not shown:
            self.open(folder, name)

    def _clicked(self, layer: Any, event: Any) -> Any:
        """Select the object under a click; shift adds it to the others. A drag moves the image."""
        yield
        if event.type != "mouse_move":
            number = int(layer.get_value(event.position, world=True) or 0)
            more = set(self.chosen) if "Shift" in event.modifiers else set()
            self.select(sorted(more ^ ({number} - {0})))

    def _question(self) -> Correction | None:
        """Make a correction of the points and the box that are there."""
        if self.review is None or any(name not in self.viewer.layers for name in (ON, BESIDE, BOX, ANSWER)):
            return None
        on, beside, boxes = (self.viewer.layers[name].data for name in (ON, BESIDE, BOX))
        return self.review.question(self.chosen, on, beside, boxes[-1] if len(boxes) else None)

    def _act(self, action: Action) -> None:
        given, chosen = self._question(), self.chosen
        if self.review is None or given is None:
            raise InputError("no results are open, or a layer of the panel is gone; open a folder of results")
        shown = self.review.corrected
        try:
            self._correct(self.review, action, chosen, given)
        except AutosamError:
            if self.review.corrected is not shown:
                # Another program has changed what is there.
                self._refresh()
                # It would write over what the error says.
                self._timer.stop()
            raise
        self._refresh()

    def _correct(self, review: ImageReview, action: Action, chosen: list[int], given: Correction) -> None:
        if action == "undo":
            review.undo()
            return
        if action == "split" and not chosen:
            chosen = sorted({int(self.objects.get_value(point) or 0) for point in given.points} - {0})
        if action in DRAWING:
            given = with_mask(given, np.asarray(self.viewer.layers[ANSWER].data) > 0, self.answered)
        review.act(action, chosen, drawing=given)

    def _show_answer(self, crop: MaskCrop | None) -> None:
        if ANSWER not in self.viewer.layers:
            return
        self.answered = np.zeros(self.objects.data.shape, bool)
        if crop is not None:
            self.answered[crop.window] = crop.mask
        self.viewer.layers[ANSWER].data = self.answered.astype(np.uint8)
        self._tell("" if crop is None else f"SAM's answer has the score {crop.score:.2f}.")

    def _list(self, found: FoundDoubts) -> None:
        self.found = found.doubts
        self.doubts.clear()
        self.doubts.addItems([f"{one.doubt:.2f} {one.image}: {one.why}" for one in found.doubts])
        self._tell(" ".join(found.notes))

    def _show_doubt(self, row: int) -> None:
        if row >= 0 and self.review is not None:
            one = self.found[row]
            if one.image != self.review.image.name:
                self._show_image(one.image)
            objects = (made for made in self.review.corrected.origins if set(made.before) & set(one.objects))
            self.select([made.label for made in objects if made.label])
            top, left, bottom, right = one.crop
            self.viewer.camera.center = (top + bottom) / 2, (left + right) / 2
            self.viewer.camera.zoom = 500 / max(bottom - top, right - left)

    def _tell(self, more: str = "") -> None:
        assert self.review is not None
        told = f"{len(self.review.corrected.scores)} objects, {len(self.review.standing)} corrections"
        self.said.setText(f"{told}, selected: {', '.join(map(str, self.chosen)) or 'none'}. {more}")

    def _run(self, name: str, work: Callable[[Any], Any], done: Callable[[Any], None]) -> None:
        def last() -> None:
            self.tasks[name] = None
            if name == "ask" and self._again:
                self.ask()

        say = self.said.setText
        say("looking at all images" if name == "look" else "SAM is asked")
        self.tasks[name] = Background(work, done, say, last, lambda share: say(f"looking: {share:.0%}"))

    def _try(self, work: Callable[..., None], *given: Any) -> None:
        """Do something; where that cannot be, say why."""
        try:
            work(*given)
        except AutosamError as error:
            self.said.setText(str(error))
