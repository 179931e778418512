"""Segment the images of a run again, find where their objects were lost, and what perfect prompts would give."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.config import PromptsConfig
from autosam.data.folders import renumbered
from autosam.errors import InputError
from autosam.evaluation.diagnosis.examples import Example, Gallery
from autosam.evaluation.diagnosis.recorded_run import RecordedRun
from autosam.evaluation.diagnosis.stages import ImageStages, find_stages
from autosam.evaluation.diagnosis.trace import Trace, trace_image
from autosam.evaluation.label_refs import LabelRef
from autosam.evaluation.pairing import Pair
from autosam.evaluation.volumes import read_instances
from autosam.images.read import read_pixels
from autosam.metrics import average_precision
from autosam.metrics.label_arrays import check_shapes
from autosam.metrics.precision_counts import AveragePrecision
from autosam.pipeline.propose import Regions, prompt_regions
from autosam.pipeline.segmenter import Segmenter
from autosam.pipeline.view import Image
from autosam.prompts import Prompt, ground_truth_prompts


@dataclass(frozen=True, eq=False)
class ImageDiagnosis:
    """One image of a run.

    Attributes
    ----------
    folder : Path
        Where the image lies.
    stages : ImageStages
        What became of its objects.
    centers : ndarray of float64, shape (T, 2)
        Row and column of the centroid of each true object.
    precisions : dict of str to AveragePrecision
        Of the run, of the generator's regions, and of SAM with ground-truth prompts, where the model has them.
    reproduced : bool
        Whether the labels came out as they are in the folder.
    """

    name: str
    folder: Path
    stages: ImageStages
    centers: NDArray[np.float64]
    precisions: dict[str, AveragePrecision]
    reproduced: bool


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """All images of a run, and the largest lost objects of each stage."""

    images: list[ImageDiagnosis]
    examples: list[Example]

    def pooled(self) -> dict[str, AveragePrecision]:
        """Add up the precisions of all images, by name."""
        return {
            name: AveragePrecision.pooled(image.precisions[name] for image in self.images)
            for name in self.images[0].precisions
        }


def diagnose_run(
    run: RecordedRun,
    pairs: Sequence[Pair],
    *,
    truth_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Diagnosis:
    """Diagnose every image of a run that has a truth.

    Parameters
    ----------
    run : RecordedRun
        From `open_run`.
    pairs : sequence of Pair
        Label files of the run's folder and their truths, at least one; images are diagnosed in their order.
    truth_size : int, optional
        Make instances of a semantic truth: its connected components of at least so many pixels.
    progress : callable, optional
        Called with the images that are done, and their number.

    Raises
    ------
    InputError
        If an image is gone or cannot be read, or has another size than its truth. All images are looked for
        before the first is segmented.
    """
    sources = [run.source_of(str(pair.pred)) for pair in pairs]
    images, gallery = [], Gallery()
    for pair, (source, zoom) in zip(pairs, sources, strict=True):
        truth, before = _read(pair.truth, truth_size), _read(pair.pred, None)
        image = read_pixels(source)
        check_shapes((image if isinstance(image, np.ndarray) else image[0]).shape[:2], truth.shape)
        trace = trace_image(run.segmenter, image, zoom=zoom)
        result = trace.result
        stages = find_stages(
            truth,
            result.labels,
            regions=result.regions,
            prompts=result.prompts,
            prompt_of=result.prompt_of,
            masks=trace.masks,
        )
        images.append(
            ImageDiagnosis(
                name=pair.name,
                folder=source.path.parent,
                stages=stages,
                centers=_centers(truth),
                precisions=_precisions(run.segmenter, image, truth, trace, zoom),
                reproduced=bool(np.array_equal(before, result.labels)),
            )
        )
        gallery.add(pair.name, truth, trace, stages)
        if progress is not None:
            progress(len(images), len(pairs))
    return Diagnosis(images, gallery.examples())


def ground_truth_region_prompts(
    truth: NDArray[np.integer[Any]], maps: Mapping[str, NDArray[np.float32]], settings: PromptsConfig
) -> list[Prompt]:
    """Make the prompts that the pipeline would predict if the true objects, of any ids, were its regions.

    A mask prompt holds the generator's logits and not the truth's outline: only other objects are cut out of it.
    Prompts are listed by ascending id.
    """
    return list(prompt_regions(Regions(renumbered(truth)), maps, settings))


def _precisions(
    segmenter: Segmenter,
    image: Image,
    truth: NDArray[np.integer[Any]],
    trace: Trace,
    zoom: float,
) -> dict[str, AveragePrecision]:
    config = segmenter.config
    found = {"this run": average_precision(trace.result.labels, truth)}
    has_regions = config.prompts.method != "grid"
    if has_regions:
        found["generator alone"] = average_precision(trace.result.regions, truth)
    if not config.decode.sam:
        return found
    numbered, margin = renumbered(truth), config.prompts.box_margin
    perfect = {
        "truth boxes": ground_truth_prompts(numbered, points=0, box_margin=margin),
        "truth boxes and points": ground_truth_prompts(numbered, points=1, box_margin=margin),
    }
    if has_regions and config.prompts.mask:
        perfect["truth regions"] = ground_truth_region_prompts(truth, trace.result.maps, config.prompts)
    by_user = config.prompts.model_copy(update={"method": "user"})
    asked = segmenter.with_settings(config.model_copy(update={"prompts": by_user}))
    for name, prompts in perfect.items():
        result = asked.segment(image, zoom=zoom, prompts=prompts)
        found[name] = average_precision(result.labels, truth)
    return found


def _read(labels_of: LabelRef, size: int | None) -> NDArray[np.integer[Any]]:
    labels = read_instances(labels_of, size)
    if labels.ndim != 2:
        raise InputError(f"labels of shape {labels.shape} came; --diagnose takes images (H, W), one file each")
    return labels


def _centers(truth: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    objects = renumbered(truth)
    centers = ndimage.center_of_mass(objects > 0, objects, range(1, int(objects.max(initial=0)) + 1))
    return np.array(centers, dtype=np.float64).reshape(-1, 2)
