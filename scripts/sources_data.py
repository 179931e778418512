"""The images of a recipe's sources: which are for training, which for scoring at home and abroad."""

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

from autosam.config import Config, ImagesConfig, SourceConfig, load_config
from autosam.data import LabeledImage
from autosam.data.folders import divide, evenly_spaced, load_labeled_images
from autosam.data.given_split import read_lists
from autosam.data.store import Store
from autosam.data.stored_images import names_store, stored_labeled_images
from autosam.errors import ConfigError, InputError
from autosam.images.read import read_json
from autosam.pipeline.find_zoom import known_zoom

Part = Literal["train", "home", "abroad"]
Lists = dict[str, dict[str, list[str]]]

ALL = "none"
"""Name of the run that lacks no source."""
VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class Study:
    """A recipe, and the images of its sources.

    Attributes
    ----------
    config : Config
        Its settings; stores have their whole path.
    data : Path
        What the other sources are relative to.
    lists : dict
        Stems of the parts of every source but stores, as in a split file.
    """

    config: Config
    data: Path
    lists: Lists

    @property
    def names(self) -> list[str]:
        """The sources, in the recipe's order."""
        return [source.name for source in self.config.data.sources]

    @property
    def folders(self) -> list[str]:
        """The folder, or store, of each source."""
        return [folder_of(source) for source in self.config.data.sources]

    def lacking(self, run: str) -> list[str]:
        """List the sources that a run lacks, by its name: ``none``, or sources joined by ``+``."""
        lacked = [] if run == ALL else run.split("+")
        unknown = [name for name in lacked if name not in self.names]
        if unknown:
            raise ConfigError(f"no source {', '.join(unknown)} in the recipe; it has {', '.join(self.names)}")
        if set(lacked) == set(self.names):
            raise ConfigError(f"without {run} no source is left to train on; leave out fewer")
        return [name for name in self.names if name in lacked]

    def lacked_by(self, trained: Collection[str]) -> list[str]:
        """List the sources that a model was not trained on; a folder's name stands for all its modalities."""
        named = zip(self.names, self.folders, strict=True)
        return [name for name, folder in named if name not in trained and folder not in trained]

    def config_without(self, run: str, split: Path) -> Config:
        """Give the settings of a run."""
        lacked = self.lacking(run)
        sources = tuple(source for source in self.config.data.sources if source.name not in lacked)
        data = self.config.data.model_copy(update={"sources": sources, "split": str(split)})
        return self.config.model_copy(update={"data": data})

    def images(self, name: str, part: Part, settings: ImagesConfig, most: int | None = None) -> list[LabeledImage]:
        """Read images of a source: for training, its val at home, or all of it abroad.

        For training there are as many as ``data.fraction`` says, with those that thresholds are fitted to.

        Parameters
        ----------
        most : int, optional
            Of more images, so many are taken, evenly spaced.
        """
        source = self.config.data.sources[self.names.index(name)]
        fraction = self.config.data.fraction if part == "train" else 1.0
        if name not in self.lists:
            stored = evenly_spaced(_stored(self.data / source.images, name, part, settings), fraction)
            return evenly_spaced(stored, 1.0 if most is None else min(1.0, most / len(stored)))
        lists = self.lists[name]
        stems = {"train": lists["train"], "home": lists["val"], "abroad": chain.from_iterable(lists.values())}[
            part
        ]
        stems = evenly_spaced(sorted(set(stems)), fraction)
        stems = evenly_spaced(stems, 1.0 if most is None else min(1.0, most / len(stems)))
        return load_labeled_images(
            self.data / source.images,
            self.data / source.labels,
            source=name,
            stems=stems,
            component_size=source.min_size if source.components else None,
            settings=settings,
            valid=None if source.valid is None else self.data / source.valid,
            ignore=source.ignore_label,
            zoom=known_zoom(settings, pixel_size_nm=source.pixel_size, diameter=None),
        )


def read_study(recipe: Path, data: Path, *, stores: Path | None = None, split: Path | None = None) -> Study:
    """Read a recipe and complete its split.

    Parameters
    ----------
    recipe : Path
        A config whose ``data.sources`` are the sources of the study.
    stores : Path, optional
        Folder of the sources that are stores; by default the data's.
    split : Path, optional
        In place of the recipe's split file, or of ``splits.json`` among the data.

    Raises
    ------
    ConfigError, InputError
        If the recipe, the split or a source cannot be used.
    """
    if not recipe.is_file():
        raise ConfigError(f"no recipe {recipe}; name a YAML file whose data.sources are the sources of the study")
    config = load_config(recipe)
    sources = tuple(_placed(source, data, stores) for source in config.data.sources)
    config = config.model_copy(update={"data": config.data.model_copy(update={"sources": sources})})
    if split is None and config.data.split is not None:
        split = data / config.data.split
    elif split is None and (data / "splits.json").is_file():
        split = data / "splits.json"
    known = {} if split is None else read_json(split)
    if not isinstance(known, dict):
        raise InputError(f"{split} is not a split file; wanted {{source: {{train: [...], val: [...]}}}}")
    lists = {}
    for source in sources:
        if names_store(data / source.images):
            _check_val(data / source.images, source.name)
        else:
            lists[source.name] = _with_val(_lists_of(source, data, split, known))
            if not lists[source.name]["val"]:
                raise InputError(
                    f"source {source.name} has no image: {split or 'the folder'} lists none of its own; correct "
                    "that, or leave the source out"
                )
    return Study(config, data, lists)


def folder_of(source: SourceConfig) -> str:
    """Name the folder of a source, or its store."""
    images = Path(source.images)
    return images.stem if names_store(images) else images.parent.name


def _placed(source: SourceConfig, data: Path, stores: Path | None) -> SourceConfig:
    if not names_store(data / source.images):
        return source
    path = ((stores or data) / source.images).resolve()
    if not path.exists():
        raise InputError(
            f"source {source.name}: no store {path}; make it with: autosam data import FOLDER -o {path.name}, and "
            "name its folder with --stores"
        )
    return source.model_copy(update={"images": str(path), "labels": str(path)})


def _lists_of(
    source: SourceConfig, data: Path, split: Path | None, known: Mapping[str, object]
) -> dict[str, list[str]]:
    """Take the lists of a source from the split file, those of its folder for a modality, or divide its images."""
    images, labels = data / source.images, data / source.labels
    folder = images.parent.name
    index, modality = images.parent / "index.csv", source.name.removeprefix(f"{folder}_")
    of_modality = source.name not in known and index.is_file() and modality != source.name
    name = folder if of_modality else source.name
    if split is not None and name in known:
        lists = read_lists(split, name, default=name)[1]
    else:
        lists = {part: divide(images, part, labels) for part in ("train", "val")}
    if not of_modality:
        return lists
    wanted = _names_of(index, modality, source.name)
    return {part: [stem for stem in stems if stem in wanted] for part, stems in lists.items()}


def _names_of(index: Path, modality: str, source: str) -> set[str]:
    with index.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"id", "modality"} <= set(rows[0]):
        raise InputError(f"{index} has no columns id and modality, by which the images of {source} are found")
    names = {row["id"] for row in rows if row["modality"] == modality}
    if not names:
        known = ", ".join(sorted({row["modality"] for row in rows}))
        raise InputError(f"{index} has no image of the modality {modality} (source {source}); it has {known}")
    return names


def _with_val(lists: dict[str, list[str]]) -> dict[str, list[str]]:
    """Give a source without val images some of its training images, evenly spaced; one image is both."""
    train, val = lists.get("train", []), lists.get("val", [])
    if not val:
        val = evenly_spaced(train, VALIDATION_SHARE)
        train = [stem for stem in train if stem not in val]
    return lists | {"train": train or val, "val": val}


def _check_val(path: Path, name: str) -> None:
    if not any(item.split == "val" for item in Store.open(path).items):
        raise InputError(
            f"source {name}: the store {path} has no val image to score at home; divide it with: autosam data "
            "split"
        )


def _stored(path: Path, name: str, part: Part, settings: ImagesConfig) -> list[LabeledImage]:
    there = {item.split for item in Store.open(path).items}
    wanted: dict[Part, list[Literal["train", "val"]]] = {
        "train": ["train"],
        "home": ["val"],
        "abroad": ["train", "val"],
    }
    parts = [one for one in wanted[part] if one in there or part != "abroad"]
    return [image for one in parts for image in stored_labeled_images(path, one, source=name, settings=settings)]
