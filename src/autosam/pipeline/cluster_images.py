"""A batch of images on a cluster of dask."""

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from autosam.errors import InputError
from autosam.pipeline.batch import Made, run_batch
from autosam.pipeline.batch_workers import ModelChoice
from autosam.pipeline.bookkeeping import Watch
from autosam.pipeline.dask_cluster import DaskCluster
from autosam.pipeline.failures import UnfinishedError
from autosam.pipeline.image_steps import ImageAnswer, ImageSteps, ImageTask
from autosam.pipeline.inside import InsideSource
from autosam.pipeline.one_image import TruthSource
from autosam.pipeline.outputs import PLAIN, AnySource, BatchOptions, ImageOutcome
from autosam.pipeline.read_ahead import Report, Sign
from autosam.pipeline.run_options import recorded_options
from autosam.pipeline.segmenter import Segmenter
from autosam.prompts.user_prompts import PromptTables

_asking = threading.Lock()
"""Networks answer one thread of a process at a time; the others read and write meanwhile."""


def segment_on_cluster(
    sources: Sequence[AnySource],
    model: ModelChoice,
    out: Path,
    options: BatchOptions = PLAIN,
    *,
    cluster: DaskCluster,
    device: str = "auto",
    prompts: PromptTables | None = None,
    truths: TruthSource | None = None,
    inside: InsideSource | None = None,
    model_sha256: str = "",
    watch: Watch | None = None,
) -> Generator[ImageOutcome, None, None]:
    """Segment images on a cluster, with the results, the record and the order of `segment_batch`.

    The files are those of one process with as many threads as each worker has. All workers have to see the images,
    the model and the folder of the results under the same paths.

    Parameters
    ----------
    cluster : DaskCluster
        Is closed at the end.
    device : str
        Of each worker.
    sources, model, out, options, prompts, truths, inside, model_sha256, watch
        As of `segment_with_workers`.

    Yields
    ------
    ImageOutcome
        As `segment_batch` does.

    Raises
    ------
    AutosamError
        As of `segment_batch` and `Segmenter.from_model`.
    """
    made = Made(model.settings, str(model.model), model_sha256, recorded_options(options, prompts, truths, inside))
    work = _ImageWork(model, device, out, options, prompts, truths, inside)
    images = _ClusterImages(cluster, work)
    yield from run_batch(sources, out, options, made, images, watch or (lambda *_: None))


@dataclass(frozen=True, eq=False)
class _ImageWork:
    """What a worker needs for an image, beside the image."""

    model: ModelChoice
    device: str
    out: Path
    options: BatchOptions
    prompts: PromptTables | None
    truths: TruthSource | None
    inside: InsideSource | None


class _ClusterImages:
    """An `Executor` of a batch that sends images to a cluster."""

    def __init__(self, cluster: DaskCluster, work: _ImageWork) -> None:
        self._cluster, self._work = cluster, work

    def __enter__(self) -> "_ClusterImages":
        self._cluster.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._cluster.__exit__(*error)

    def run(
        self,
        tasks: Iterator[ImageTask | Sign],
        report: Report[ImageTask, ImageAnswer],
        watch: Callable[[ImageTask, float], None],
    ) -> Generator[None, None, None]:
        """Do images in any order; see `Overlap.run`. The cluster does not tell how far an image is."""
        images = (task for task in tasks if isinstance(task, ImageTask))
        for task, (answer, seconds) in self._cluster.run(partial(do_image, self._work), images, lost=_lost):
            report(task, answer, seconds)
            yield


def _lost(task: ImageTask, reason: str) -> tuple[ImageAnswer | InputError, float]:
    return UnfinishedError(f"the workers that had it died ({reason}); repeat the command to do it again"), 0.0


def do_image(work: _ImageWork, task: ImageTask) -> tuple[ImageAnswer | InputError, float]:
    """Do an image on a worker; give the answer or why it failed, and the seconds that it took."""
    began = time.perf_counter()
    answer: ImageAnswer | InputError
    try:
        with _asking:
            segmenter = _loaded(work.model, work.device)
        steps = ImageSteps(segmenter, work.out, work.options, work.prompts, work.truths, work.inside)
        read = steps.read(task)
        with _asking:
            made = steps.work(task, read, lambda _: None)
        answer = steps.write(task, read, made)
    except InputError as error:
        answer = error
    return answer, time.perf_counter() - began


@lru_cache(maxsize=1)
def _loaded(model: ModelChoice, device: str) -> Segmenter:
    return model.load(device)
