"""Corrections: what a person decides about the objects of an image."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from autosam.errors import InputError
from autosam.prompts import Prompt
from autosam.review.drawn_mask import read_mask_text

Action = Literal["accept", "delete", "merge", "split", "redraw", "add", "reviewed", "undo"]
By = Literal["model", "sam", "hand"]

ACTIONS: tuple[Action, ...] = get_args(Action)
MAKERS: tuple[By, ...] = get_args(By)
DRAWING = ("redraw", "add")
"""Actions that draw an object anew: by a prompt that SAM answers, or by a mask."""

LONGEST_MASK = 131_072
"""Characters that Python's csv reads in a cell."""

_OBJECTS = {"accept": (1, None), "delete": (1, None), "merge": (2, None), "split": (1, 1), "redraw": (1, 1)}
"""The least and the largest number of objects that an action names; others name none."""


@dataclass(frozen=True)
class Correction:
    """One action on one image.

    Ids are those of the results that the correction is about, whatever other corrections do. So an object that a
    correction added has no id yet: take its correction back with ``undo``, and add the object again.

    Attributes
    ----------
    image : str
        Name of the results of the image, such as ``a`` or ``day1/a``.
    action : str
        ``accept`` keeps objects as they are, ``delete`` removes them. ``merge`` makes one of several. ``split``
        makes one object two or more, with a point in each. ``redraw`` draws one object anew, ``add`` a new one.
        ``reviewed`` says that a box, or without one the whole image, is complete. ``undo`` takes the action of the
        same id back.
    objects : tuple of int
        Ids of the objects that it is about.
    points : tuple of (float, float)
        Row and column of each, in pixels of the whole image; integers are pixel centers.
    point_labels : tuple of int
        1 for a point on the object, 0 for one beside it.
    box : tuple of float, or None
        First row, first column, last row, last column; the last ones belong to the box.
    mask : str
        The pixels of the object, as `drawn_mask.mask_text` writes them; empty where SAM is to answer.
    by : {"model", "sam", "hand"} or None
        Who made the shape. By default the model where an object is accepted, SAM where a prompt draws one, and
        otherwise the hand of a person. A mask can be SAM's answer that a person has seen: then it says ``sam``.
    action_id : str
        Unique in its file; `append_corrections` gives one where it is empty.
    results : str
        What the ids are about, see `ReviewImage.results`; empty is not checked.
    line : int
        Where it begins in its file, for messages.
    """

    image: str
    action: Action
    objects: tuple[int, ...] = ()
    points: tuple[tuple[float, float], ...] = ()
    point_labels: tuple[int, ...] = ()
    box: tuple[float, float, float, float] | None = None
    mask: str = field(default="", repr=False)
    by: By | None = None
    action_id: str = ""
    results: str = ""
    line: int = field(default=0, compare=False)

    @property
    def made_by(self) -> By:
        """Who made the shape, also where the correction does not say so."""
        if self.by is not None:
            return self.by
        if self.action == "accept":
            return "model"
        return "sam" if self.asks_model else "hand"

    @property
    def asks_model(self) -> bool:
        """Whether SAM has to answer a prompt before the correction can be applied."""
        return self.action in DRAWING and not self.mask

    def prompt(self) -> Prompt:
        """Give points and box as a prompt."""
        return Prompt(
            points=np.array(self.points, dtype=np.float64).reshape(-1, 2),
            point_labels=np.array(self.point_labels, dtype=np.int64),
            box=None if self.box is None else np.array(self.box, dtype=np.float64),
        )


def fault_in(correction: Correction) -> str | None:
    """Say what a correction lacks, or has too much of, whatever it is about; None where it is sound."""
    action, number = correction.action, len(correction.objects)
    if action == "undo":
        return None
    least, most = _OBJECTS.get(action, (0, 0))
    if number < least or (most is not None and number > most):
        wanted = "no object" if most == 0 else f"{'one object' if most == 1 else f'{least} objects or more'}"
        return f"{action} names {number} objects, wanted {wanted}"
    if len(set(correction.objects)) < number:
        return f"{action} names an object twice"
    return _fault_in_numbers(correction) or _fault_in_shape(correction) or _fault_in_maker(correction)


def _fault_in_numbers(correction: Correction) -> str | None:
    """Say what of a correction no file could hold."""
    if len(correction.points) != len(correction.point_labels):
        return f"{len(correction.points)} points have {len(correction.point_labels)} labels"
    if not set(correction.point_labels) <= {0, 1}:
        return f"the labels of its points are {list(correction.point_labels)}, wanted 0 or 1"
    if any(number < 1 for number in correction.objects):
        return f"it names object {min(correction.objects)}, wanted ids from 1 on"
    box = correction.box or (0.0, 0.0, 0.0, 0.0)
    if not np.isfinite([*np.ravel(correction.points), *box]).all():
        return "a point or the box has a number that is none"
    if box[2] < box[0] or box[3] < box[1]:
        return "the box ends before it begins"
    if len(correction.mask) > LONGEST_MASK:
        return f"its mask takes {len(correction.mask)} characters, and at most {LONGEST_MASK} can be read"
    try:
        if correction.mask:
            read_mask_text(correction.mask)
    except InputError as error:
        return str(error)
    return None


def _fault_in_shape(correction: Correction) -> str | None:
    action, points = correction.action, correction.points
    if correction.mask and action not in DRAWING:
        return f"{action} has a mask, and draws nothing"
    if action == "split":
        if correction.box is not None:
            return "split has a box, wanted points"
        if len(points) < 2 or not all(correction.point_labels):
            return "split wants two points or more, all with label 1: one on each part"
    elif action == "reviewed":
        return "reviewed has points, wanted a box or nothing" if points else None
    elif action not in DRAWING:
        return f"{action} has points or a box, wanted none" if points or correction.box is not None else None
    elif not correction.mask:
        if not points and correction.box is None:
            return f"{action} has neither a point nor a box nor a mask"
        if action == "add" and not any(correction.point_labels) and correction.box is None:
            return "add has only points beside the object and no box"
    return None


def _fault_in_maker(correction: Correction) -> str | None:
    by, action = correction.by, correction.action
    if by is None or (action == "accept") == (by == "model"):
        drawn = by == "sam" and action not in DRAWING
        return f"{action} by sam, and SAM only answers {' and '.join(DRAWING)}" if drawn else None
    return f"{action} by {by}, wanted by {'model' if action == 'accept' else 'sam or hand'}"


def standing(corrections: Iterable[Correction]) -> list[Correction]:
    """Leave out what was taken back: every correction with an ``undo`` of its id, and the ``undo`` itself."""
    found = list(corrections)
    undone = {one.action_id for one in found if one.action == "undo"}
    return [one for one in found if one.action_id not in undone]
