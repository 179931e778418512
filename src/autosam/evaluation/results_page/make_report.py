"""From a folder of results to the content of its report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from autosam.errors import InputError
from autosam.evaluation.results_page.folder_record import FolderRecord, read_record, without_folders
from autosam.evaluation.results_page.groups_part import compare_groups
from autosam.evaluation.results_page.image_groups import read_groups
from autosam.evaluation.results_page.made_part import changes_of, run_part
from autosam.evaluation.results_page.methods_part import methods_of, to_cite
from autosam.evaluation.results_page.overview_part import (
    charts_of,
    doubts_of,
    notices_of,
    summary_of,
    table_of,
)
from autosam.evaluation.results_page.shown_image import ShownImage, show_image
from autosam.evaluation.results_page.truth_part import OpenTruth, open_truth, truth_part
from autosam.pipeline.claims import Claims
from autosam.pipeline.origin_images import OriginImages
from autosam.pipeline.results_folder import FoundLabels, open_results
from autosam.report.page_content import Fact, ImageCard, Notice, PageContent
from autosam.report.page_pictures import PagePicture, fit_picture
from autosam.report.svg_charts import number

BYTES = 17_000_000
"""What all pictures of a report take together at most, about."""
MOST_BYTES = 600_000
"""What one picture takes at most."""
MOST_PICTURES = 400
"""Images that are shown; of more, those with warnings, and then the first ones."""


@dataclass(frozen=True)
class ReportOptions:
    """What goes into a report besides the results.

    Attributes
    ----------
    truth : str, optional
        Where true labels are, as of `find_labels`.
    components : int, optional
        The truth is semantic: its connected components of at least so many pixels are the objects.
    groups : Path, optional
        Table of groups, as of `read_groups`.
    """

    truth: str | None = None
    components: int | None = None
    groups: Path | None = None


def make_report(
    folder: Path, options: ReportOptions, *, progress: Callable[[int, int], None] | None = None
) -> PageContent:
    """Read a folder of results, one image at a time, and put its report together.

    Parameters
    ----------
    progress : callable, optional
        Called with the images that are done, and their number.

    Raises
    ------
    InputError
        If it is no folder of results, or truth or groups do not fit them.
    ConfigError
        If the run record is damaged.
    """
    record = read_record(folder)
    found = {labels.name: labels for labels in open_results(folder).labels}
    groups: dict[str, str] = {}
    if options.groups is not None:
        groups = read_groups(options.groups, found, failed=record.entries)
    truth = None
    if options.truth is not None:
        if not found:
            raise InputError(f"{folder} holds no labels that could be compared with {options.truth}")
        truth = open_truth(options.truth, folder, list(found.values()), components=options.components)
    lost = {
        name: "they are not there any more"
        for name, entry in record.entries.items()
        if name not in found and "error" not in entry
    }
    gathered = _Gathered(folder, record, found, truth)
    for done, labels in enumerate(found.values(), 1):
        try:
            gathered.add(labels)
        except InputError as error:
            lost[labels.name] = without_folders(str(error))
        if progress is not None:
            progress(done, len(found))
    return _content(folder, gathered, groups, lost)


class _Gathered:
    """Takes images in one after the other, and keeps no pixels of them but those that are shown."""

    def __init__(
        self, folder: Path, record: FolderRecord, found: Mapping[str, FoundLabels], truth: OpenTruth | None
    ) -> None:
        self.record, self.truth = record, truth
        self.images: list[ShownImage] = []
        self.cards: list[ImageCard] = []
        self._folder, self._origins = folder, OriginImages()
        entries = record.entries
        doubtful = [n for n in found if entries[n].get("warnings") or entries[n].get("out_of_distribution")]
        self._shown = set([*doubtful, *(name for name in found if name not in doubtful)][:MOST_PICTURES])
        self._budget = min(MOST_BYTES, BYTES // max(1, len(self._shown)))

    @property
    def hidden(self) -> int:
        """Number of images that are not shown."""
        return len(self.images) - sum(card.name in self._shown for card in self.cards)

    def add(self, labels: FoundLabels) -> None:
        """Take an image in; errors are those of `show_image`."""
        entry, shown = self.record.entries[labels.name], labels.name in self._shown
        pixels = shown or (self.truth is not None and labels.name in self.truth.pairs)
        image = show_image(labels, entry, self.record.run_of(entry), self._origins, self._folder, pixels=pixels)
        layers = {} if image.drawn or image.labels is None else {"objects": image.labels}
        beside = None if self.truth is None else self.truth.beside(image)
        if beside is not None and self.truth is not None:
            self.truth.worst.add(image, *beside)
            if image.picture is None or image.picture.shape[:2] == beside[1].shape:
                layers["truth"] = beside[1]
        picture = None
        if shown and (image.picture is not None or layers):
            picture = fit_picture(image.picture, layers, most=self._budget)
        # Labels and pixels go.
        self.images.append(replace(image, labels=None, picture=None))
        if shown:
            scores = self.truth.rows.get(labels.name, {}) if self.truth is not None else {}
            self.cards.append(_card(image, picture, scores))


def _card(image: ShownImage, picture: PagePicture | None, scores: Mapping[str, float]) -> ImageCard:
    count = len(image.areas)
    parts = [f"{count:,} object{'' if count == 1 else 's'}"]
    if count:
        parts.append(f"median {number(float(np.median(image.areas)))} px")
    if scores and scores["ap50"] == scores["ap50"]:
        parts.append(f"AP@.5 {scores['ap50']:.2f}")
    if image.drawn:
        missing = f"Overlay: {image.missing}"
    elif image.missing:
        missing = f"Outlines alone: {image.missing}" if picture is not None else image.missing
    else:
        missing = ""
    return ImageCard(
        image.name,
        picture,
        ", ".join(parts),
        badges=doubts_of(image),
        missing=missing,
        scores=image.scores,
    )


def _content(folder: Path, gathered: _Gathered, groups: Mapping[str, str], lost: Mapping[str, str]) -> PageContent:
    record, images, truth = gathered.record, gathered.images, gathered.truth
    busy = Claims(folder).others()
    changes = {run.number: changes_of(run) for run in record.runs}
    notices = notices_of(record, images, lost, busy=None if busy is None else str(busy))
    cards = [
        replace(card, about=(Fact("group", groups[card.name]),)) if card.name in groups else card
        for card in gathered.cards
    ]
    first = record.runs[0]
    title = folder.resolve().name or str(folder.resolve())
    counts = {"truth": 0 if truth is None else len(truth.pairs), "groups": len(set(groups.values()))}
    made = f"{first.model_name or 'unknown model'}, autosam {first.autosam}"
    return PageContent(
        title=title,
        subtitle=f"{made}, {len(images):,} image{'' if len(images) == 1 else 's'}, {first.started[:10]}",
        notices=_in_order(notices),
        summary=summary_of(record, images, lost),
        cards=tuple(cards),
        hidden=gathered.hidden,
        charts=charts_of(images),
        table=table_of(record, images, lost, groups=groups, scores={} if truth is None else truth.rows),
        runs=tuple(run_part(record, run, changes[run.number]) for run in record.runs),
        methods=methods_of(record, changes, images, **counts),
        cite=to_cite(record, truth=truth is not None, groups=bool(groups)),
        truth=None if truth is None else truth_part(truth),
        groups=compare_groups(images, groups) if groups else None,
    )


def _in_order(notices: list[Notice]) -> tuple[Notice, ...]:
    levels = ("error", "warning", "note")
    return tuple(sorted(notices, key=lambda notice: levels.index(notice.level)))
