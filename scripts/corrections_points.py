"""A point of the study: results, corrections, a model that learns from them, and its score on other images."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from corrections_annotator import Answer, plan_answers
from corrections_drawing import Annotator, Made
from corrections_images import LEARN, SCORE, Prepared
from corrections_learners import Learnt, adapt, find, train_peer
from corrections_log import ALL, NONE, PEER, Effort, Key, Row, add_row, read_rows, told
from corrections_order import Known, at_random, by_doubt

from autosam.data import LabeledImage
from autosam.images import ensure_folder, find_sources, write_json
from autosam.images.read import read_json
from autosam.metrics.contingency import contingency_table
from autosam.metrics.object_intervals import object_intervals
from autosam.models.files.file_hash import file_sha256
from autosam.pipeline.batch import segment_batch
from autosam.pipeline.outputs import BatchOptions
from autosam.pipeline.segmenter import Segmenter
from autosam.review.apply import ApplyOptions, apply_corrections
from autosam.review.check_corrections import check_corrections
from autosam.review.corrected_files import TRAINING
from autosam.review.corrections_file import read_corrections, write_corrections
from autosam.review.doubt import Doubt
from autosam.review.find_doubts import find_doubts
from autosam.review.review_results import ReviewResults
from autosam.review.whole_images import whole_images
from autosam.training.adapt.adapt_task import AdaptOptions
from autosam.training.adapt.few_labels import LabelOptions, count_objects

HASH = 12


@dataclass(frozen=True)
class Learning:
    """How is learnt.

    Attributes
    ----------
    steps, peer_steps : int
        Of an adaptation, and of the peer's training.
    seed : int
        Of the random order and of the trainings.
    settings : tuple of str
        ``section.key=value`` for the adaptation.
    """

    steps: int
    peer_steps: int
    seed: int
    settings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Study:
    """One model and one case.

    Attributes
    ----------
    prepared : Prepared
    model : Path
    name : str
        Of the model in the table.
    log : Path
        The table.
    learning : Learning
    """

    prepared: Prepared
    model: Path
    name: str
    log: Path
    learning: Learning

    @cached_property
    def model_hash(self) -> str:
        """Begin of the hash of the model file."""
        return file_sha256(self.model)[:HASH]

    @cached_property
    def folder(self) -> Path:
        """Where results and models lie."""
        return self.prepared.folder / f"{self.name}-{self.model_hash}"

    @cached_property
    def segmenter(self) -> Segmenter:
        """The model before any correction."""
        return Segmenter.from_model(self.model, device="cpu")

    @cached_property
    def scored(self) -> list[LabeledImage]:
        """The images to score."""
        return self.prepared.labeled(SCORE, self.segmenter.config.images)

    @cached_property
    def results(self) -> ReviewResults:
        """What the model finds in the images to learn from."""
        sources = find_sources([self.prepared.folder / LEARN / "images"])
        options = BatchOptions(pixel_size_nm=self.prepared.case.source.pixel_size)
        digest = file_sha256(self.model)
        list(segment_batch(sources, self.segmenter, self.folder / "results", options, model_sha256=digest))
        return ReviewResults.open(self.folder / "results")

    @cached_property
    def known(self) -> dict[str, Known]:
        """The same images, with what is true and what is to be done about it."""
        found = {}
        for one in self.prepared.labeled(LEARN, self.segmenter.config.images):
            name = one.name.partition("/")[2]
            labels = self.results.images[name].read_labels()
            found[name] = Known(labels, one.labels, one.valid, plan_answers(name, labels, one.labels, one.valid))
        return found

    @cached_property
    def answers(self) -> dict[str, list[Answer]]:
        """All answers by order; in another one, other crops are called right."""
        doubts = self._doubts()
        return {
            "doubt": by_doubt(self.known, doubts),
            "random": at_random(self.known, doubts, self.learning.seed),
            "whole": by_doubt(self.known, whole_images(self.results).doubts),
        }

    @cached_property
    def annotator(self) -> Annotator:
        """Who corrects; SAM is asked if the model asks it."""
        config = self.segmenter.config
        truths = {name: known.truth for name, known in self.known.items()}
        asks_sam = config.model.prompted and config.decode.sam is True
        return Annotator(self.results, truths, asks_sam=asks_sam)

    def _doubts(self) -> list[Doubt]:
        """Find doubts, or read those that were found before."""
        kept = self.folder / "doubts.json"
        if not kept.is_file():
            write_json(kept, [asdict(one) for one in find_doubts(self.results, device="cpu").doubts])
        listed = [{name: _tuples(value) for name, value in one.items()} for one in read_json(kept)]
        return [Doubt(**one) for one in listed]

    def run(self, learner: str, order: str, counts: Sequence[int]) -> None:
        """Compute the points of a curve that the table lacks; ``none`` and ``all`` have one point."""
        for count in [0] if order in (NONE, ALL) else counts:
            key = self.key(learner, order, count)
            if key not in {row.key for row in read_rows(self.log)}:
                add_row(self.log, self.point(key))

    def key(self, learner: str, order: str, count: int) -> Key:
        """Name a point; no more corrections can be given than there are."""
        number = 0 if order in (NONE, ALL) else min(count, len(self.answers[order]))
        how = 0, 0, ""
        if order != NONE and learner == PEER:
            how = self.learning.peer_steps, self.learning.seed, ""
        elif order != NONE:
            how = self.learning.steps, self.learning.seed, " ".join(self.learning.settings)
        return Key(self.prepared.case.source.name, self.name, self.model_hash, learner, order, number, *how)

    def point(self, key: Key) -> Row:
        """Compute a point."""
        made: list[Made] = []
        if key.corrections:
            made = [self.annotator.make(one) for one in self.answers[key.order][: key.corrections]]
        learnt = self._learn(key, self._fixed(key, made) if made else self.prepared.folder / LEARN)
        tables, left = [], Counter[str]()
        for labels, one in zip(learnt.labels, self.scored, strict=True):
            tables.append(contingency_table(labels, one.labels, valid=one.valid))
            left.update(answer.action for answer in plan_answers("", labels, one.labels, one.valid))
        intervals = object_intervals(tables)
        both = [intervals[name] for name in ("ap50", "mean_ap")]
        scores = [value for one in both for value in (one.value, one.low, one.high)]
        row = Row(
            key,
            told(Counter(one.correction.action for one in made)),
            _effort(made),
            learnt.objects,
            learnt.kept,
            learnt.cpu_s,
            tuple(scores),
            count_objects(self.scored),
            told(left),
        )
        print(described(row), flush=True)
        return row

    def _fixed(self, key: Key, made: Sequence[Made]) -> Path:
        """Write corrections and apply them."""
        seed = f"-{self.learning.seed}" if key.order == "random" else ""
        out = self.folder / f"{key.order}-{key.corrections}{seed}"
        table = out.with_suffix(".csv")
        table.unlink(missing_ok=True)
        write_corrections(table, [one.correction for one in made])
        checked = check_corrections(read_corrections(table), self.results)
        apply_corrections(checked, out, ApplyOptions(device="cpu", overwrite=True))
        return out

    def _learn(self, key: Key, data: Path) -> Learnt:
        if key.order == NONE:
            return Learnt(find(self.segmenter, self.scored), 0, NONE, 0.0)
        if key.learner == PEER:
            place = data / TRAINING if key.corrections else data
            images = self.segmenter.config.images
            return train_peer(place, images, self.scored, steps=key.steps, seed=key.seed)
        options = AdaptOptions(
            steps=key.steps,
            labels=LabelOptions(pixel_size=self.prepared.case.source.pixel_size),
            seed=key.seed,
            overrides=self.learning.settings,
        )
        out = ensure_folder(self.folder) / f"{data.name}-adapted-{key.steps}-{key.seed}.safetensors"
        return adapt(data, self.model, out, options, self.scored)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value


def described(row: Row) -> str:
    """Say in a line what a point is."""
    key = row.key
    return (
        f"{key.case} {key.model} {key.learner} {key.order} {key.corrections}: {row.actions or '-'}; {row.objects} "
        f"objects, {row.effort.clicks} clicks; {row.kept}; AP@.5 {row.scores[0]:.3f}, mean AP {row.scores[3]:.3f} "
        f"({row.scores[4]:.3f} to {row.scores[5]:.3f}); left: {row.left}; {row.cpu_s:.0f} CPU s"
    )


def _effort(made: Sequence[Made]) -> Effort:
    by = Counter(one.correction.made_by if one.correction.mask else "" for one in made)
    return Effort(by[""], by["sam"], by["hand"], sum(one.clicks for one in made))
