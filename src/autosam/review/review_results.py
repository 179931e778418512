"""A folder of results to be reviewed: its images, each with labels, scores, pixels and the model that made it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.evaluation.results_page.folder_record import FolderRecord, RunFacts, read_record
from autosam.images.label_names import without_suffix
from autosam.instances import read_table
from autosam.pipeline.claims import Claims
from autosam.pipeline.origin_images import OriginImages
from autosam.pipeline.own_files import describe
from autosam.pipeline.results_folder import FoundLabels, open_results

if TYPE_CHECKING:
    from autosam.pipeline.one_image import LoadedImage

HIGHEST_ID = 2**24
"""Of an object. Memory grows with the highest one."""


@dataclass(frozen=True, eq=False)
class ReviewImage:
    """An image of a folder of results.

    Attributes
    ----------
    name : str
        Of its results, with the folder that it was found in, by slashes.
    found : FoundLabels
        Its labels, and what the record says of their files.
    entry : mapping
        What the record says of the image.
    run : RunFacts
        The run that made it.
    """

    name: str
    found: FoundLabels
    entry: Mapping[str, Any]
    run: RunFacts

    @cached_property
    def results(self) -> str:
        """What ids are about: ``sha256:`` and 16 digits of a hash of model, image and label file.

        It stays the same when other images are added to the folder, when exports are made and when the folder is
        moved. It changes when the image is segmented again with another result, or its labels are edited.
        """
        assert self.found.file is not None
        told = (self.run.model_sha256, self.entry.get("sha256"), describe(self.found.file)["sha256"])
        return f"sha256:{sha256(repr(told).encode()).hexdigest()[:16]}"

    @property
    def zoom(self) -> float:
        """How many times larger the networks saw it, on top of ``images.zoom``."""
        return float(self.entry.get("zoom") or 1.0)

    @property
    def file_name(self) -> str:
        """Name of the image's own file, as prompt tables have it, with the folder that it was found in."""
        alone = Path(str(self.entry.get("input", self.name)).replace("\\", "/")).name
        return (Path(self.name).parent / alone).as_posix()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the image; an `InputError` as that of `read_labels`."""
        rows, columns = self.entry.get("rows"), self.entry.get("columns")
        if not self.found.by_parts and rows and columns:
            return int(rows), int(columns)
        rows, columns = self.read_labels().shape
        return rows, columns

    def read_labels(self) -> NDArray[np.int32]:
        """Read the labels, (H, W).

        Raises
        ------
        InputError
            If they cannot be read, or are of an image that was segmented by parts.
        """
        if self.found.by_parts:
            raise InputError(
                f"the image {self.name} is a large one, which was segmented by parts and cannot be corrected; cut "
                "it into images of up to 20,000 pixels a side"
            )
        labels = self.found.read()
        if labels.ndim != 2:
            raise InputError(f"the labels of {self.name} have shape {labels.shape}; wanted (H, W)")
        if labels.size and int(labels.max()) > HIGHEST_ID:
            raise InputError(
                f"the labels of {self.name} have ids up to {labels.max():,}; wanted up to {HIGHEST_ID:,}: number "
                "them anew"
            )
        return labels.astype(np.int32)

    def read_scores(self, highest: int) -> NDArray[np.float64]:
        """Read the score of each id up to the highest, (highest,); NaN where it is not known."""
        scores = np.full(highest, np.nan)
        if self.found.table is not None:
            table = read_table(self.found.table)
            if "score" in table.columns:
                known = (table["label"] >= 1) & (table["label"] <= highest)
                scores[table["label"][known] - 1] = table["score"][known]
        return scores

    def load(self, origins: OriginImages) -> "LoadedImage":
        """Read the pixels of the image, from where it was, or from where `origins` look.

        Raises
        ------
        InputError
            If it is gone, cannot be read, or is another one than that of the results.
        """
        # It brings torch along, which corrections without pixels do without.
        from autosam.pipeline.one_image import LoadedImage

        try:
            source = origins.find(self.found, volume=False).sources[0]
        except InputError as error:
            raise InputError(f"{self.name}: {error}; put it back, or say where it is with --images") from error
        loaded = LoadedImage.read(source, self.entry.get("pixel_size_nm"))
        if "sha256" in self.entry and loaded.sha256 != self.entry["sha256"]:
            raise InputError(
                f"{self.name}: its image {source} has changed since it was segmented; put the old one back, or "
                "segment it again"
            )
        return loaded


@dataclass(frozen=True, eq=False)
class ReviewResults:
    """A folder that `autosam segment` or `autosam apply` wrote.

    Attributes
    ----------
    images : mapping of str to ReviewImage
        Those that have labels, by name, in the order of the record.
    notes : tuple of str
        Sentences on what is missing.
    """

    folder: Path
    record: FolderRecord
    images: Mapping[str, ReviewImage]
    notes: tuple[str, ...]

    @classmethod
    def open(cls, folder: str | Path, *, wanted: str = "autosam review takes") -> "ReviewResults":
        """Read the run record of a folder; no labels and no pixels are read yet.

        Parameters
        ----------
        wanted : str
            Begin of what a message says of the folder that was wanted.

        Raises
        ------
        InputError
            If it is no such folder, or somebody writes into it now, or no image has labels.
        ConfigError
            If the record is damaged.
        """
        folder = Path(folder)
        record = read_record(folder, wanted=wanted)
        busy = Claims(folder).others()
        if busy is not None:
            raise InputError(f"{folder} is being written by {busy}; wait until that run has ended")
        opened = open_results(folder)
        images = {}
        for found in opened.labels:
            entry = record.entries[found.name]
            images[found.name] = ReviewImage(found.name, found, entry, record.run_of(entry))
        if not images:
            raise InputError(f"{folder} holds no labels of the images that its record names; segment them again")
        return cls(folder, record, images, opened.notes)

    def find(self, name: str) -> ReviewImage | None:
        """Find an image by the name of its results or of its own file; None where there is none."""
        if name in self.images:
            return self.images[name]
        # A table that was written by hand can have blanks around its cells.
        named = [image for image in self.images.values() if image.file_name == name]
        bare = name.strip()
        names = ((image, {image.name.strip(), image.file_name.strip()}) for image in self.images.values())
        named = named or [image for image, own in names if bare in own]
        if len(named) == 1:
            return named[0]
        return self.images.get(without_suffix(name)) or self.images.get(without_suffix(bare))
