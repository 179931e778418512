"""The methods paragraph of a report, for a publication, and what to cite."""

from collections.abc import Mapping, Sequence
from typing import Any

from autosam.config import SAM_ENCODER
from autosam.evaluation.results_page.folder_record import FolderRecord, RunFacts
from autosam.evaluation.results_page.made_part import Changes
from autosam.evaluation.results_page.shown_image import ShownImage
from autosam.evaluation.results_page.truth_part import RESAMPLES
from autosam.metrics.group_comparison import FEWEST
from autosam.report.svg_charts import number

_CITE_AUTOSAM = (
    "autosam {version}, instance segmentation of microscopy images (see CITATION.cff in its repository)."
)
_CITE = {
    "unet": "O. Ronneberger, P. Fischer, T. Brox: U-Net: convolutional networks for biomedical image "
    "segmentation. MICCAI 2015.",
    "sam": "A. Kirillov et al.: Segment Anything. ICCV 2023.",
    "lora": "E. J. Hu et al.: LoRA: low-rank adaptation of large language models. ICLR 2022.",
    "measures": "S. van der Walt et al.: scikit-image: image processing in Python. PeerJ 2:e453, 2014.",
    "ap": "J. C. Caicedo et al.: Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl. "
    "Nature Methods 16, 2019.",
    "tests": "P. Virtanen et al.: SciPy 1.0: fundamental algorithms for scientific computing in Python. Nature "
    "Methods 17, 2020.",
    "delta": "N. Cliff: Dominance statistics: ordinal analyses to answer ordinal questions. Psychological "
    "Bulletin 114, 1993.",
    "model": "The data that the model was trained on: see its model card (autosam models show {model}).",
}


def methods_of(
    record: FolderRecord,
    changes: Mapping[str, Changes],
    images: Sequence[ShownImage],
    *,
    truth: int,
    groups: int,
) -> tuple[str, ...]:
    """Write the methods paragraphs.

    Parameters
    ----------
    changes : mapping of str to Changes
        By the number of the run.
    truth, groups : int
        Number of images with a truth, and of groups; 0 without.
    """
    texts = [_of_run(run, changes[run.number], len(record.of_run(run)), len(record.runs)) for run in record.runs]
    texts.append(_of_measures(images))
    if truth:
        texts.append(
            f"Results were compared with ground truth in {truth} image{'s' * (truth > 1)}. Found and true objects "
            "were matched one to one at IoU thresholds of .50, .55, … .95. Average precision is TP / (TP + FP + "
            "FN). Counts of all images were pooled. Intervals are percentile bootstrap intervals over images "
            f"(95 %, {RESAMPLES:,} resamples)."
        )
    if groups > 1:
        test = "the Mann-Whitney test" if groups == 2 else "the Kruskal-Wallis test"
        texts.append(
            f"{groups} groups of images were compared, with the image as the unit of replication. Effect sizes "
            "are the Hodges-Lehmann shift with its interval from the Mann-Whitney distribution, and Cliff's delta "
            f"(both 95 %). p-values, where groups have at least {FEWEST} images, are those of {test}, adjusted "
            "for the number of measures by Holm's method."
        )
    return tuple(texts)


def to_cite(record: FolderRecord, *, truth: bool, groups: bool) -> tuple[str, ...]:
    """List the software and methods to cite."""
    versions = ", ".join(dict.fromkeys(run.autosam for run in record.runs if run.autosam))
    entries = [_CITE_AUTOSAM.format(version=versions)]
    if any(_asks_unet(run) for run in record.runs):
        entries.append(_CITE["unet"])
    if any(_asks_sam(run) for run in record.runs):
        entries.append(_CITE["sam"])
    if any(_get(run, "model", "sam", "encoder") == "lora" for run in record.runs):
        entries.append(_CITE["lora"])
    entries.append(_CITE["measures"])
    entries += [_CITE["ap"]] if truth else []
    entries += [_CITE["tests"], _CITE["delta"]] if groups else []
    models = dict.fromkeys(run.model_name for run in record.runs if run.model)
    return (*entries, *(_CITE["model"].format(model=model) for model in models))


def _of_run(run: RunFacts, changes: Changes, images: int, runs: int) -> str:
    several = f"{images} of the images" if runs > 1 else f"{images} image{'s' * (images > 1)}"
    license = f", license {changes.license.split(',')[0]}" if changes.license else ""
    text = (
        f"Objects in {several} were segmented with autosam {run.autosam or '0.1'} and the model {run.model_name} "
        f"(SHA-256 {run.model_sha256}{license}). {_way(run)}"
    )
    if run.options.get("prompts_sha256"):
        text += "A person gave prompts for some of the objects. "
    if run.options.get("corrections_sha256"):
        text += "A person then corrected the results (autosam apply; provenance.csv says which objects). "
    if run.options.get("pixel_size_nm"):
        text += f"The pixel size was given as {number(float(run.options['pixel_size_nm']))} nm. "
    if run.options.get("diameter"):
        text += f"The typical diameter of objects was given as {number(float(run.options['diameter']))} px. "
    if not changes.from_model:
        return text + "The settings are those of the run record (autosam_run.json)."
    if not changes.values:
        return text + "All settings were those of the model."
    listed = ", ".join(f"{key}={now}" for key, (now, _) in changes.values.items())
    return text + f"Settings that differ from those of the model: {listed}."


def _way(run: RunFacts) -> str:
    """Say how objects are found."""
    method = _get(run, "prompts", "method")
    answers = "a Segment Anything Model answers each prompt with a mask, and the masks are merged into instances. "
    if method == "grid":
        return f"A grid of points over the image is the prompts, {answers}"
    if method == "user" or _get(run, "model", "generator") is None:
        return f"Prompts come from the user alone, {answers}"
    network = "A UNet" if _asks_unet(run) else "A decoder on SAM's image encoder"
    maps = f"{network} predicts probability maps, which are divided into regions. "
    return maps + (
        f"The regions become prompts, {answers}" if _asks_sam(run) else "The regions become the instances. "
    )


def _of_measures(images: Sequence[ShownImage]) -> str:
    inside = any("inside_px" in image.entry for image in images)
    known = sum(image.um == image.um for image in images)
    unit = {0: "pixels, since no pixel size is known", len(images): "pixels and µm²"}.get(
        known, f"pixels, and in µm² for the {known} images whose pixel size is known"
    )
    area = "the area that was chosen (--inside)" if inside else "the whole image"
    text = (
        f"Sizes are areas of the instances, in {unit}. Densities are numbers of objects divided by {area}. "
        "Objects at the border of an image are counted, unless the settings say otherwise."
    )
    novel = [image for image in images if image.entry.get("novelty") is not None]
    if novel:
        unlike = sum(bool(image.entry.get("out_of_distribution")) for image in novel)
        text += f" {unlike} of {len(novel)} images had an out-of-distribution score above 1."
    return text


def _asks_sam(run: RunFacts) -> bool:
    """Tell whether SAM was asked about objects: always, or about user prompts alone."""
    wanted: Any = _get(run, "decode", "sam")
    return wanted is True or (wanted == "prompted" and bool(run.options.get("prompts_sha256")))


def _asks_unet(run: RunFacts) -> bool:
    """Tell whether maps were predicted by a UNet rather than by SAM's image encoder, or not at all."""
    encoder = _get(run, "model", "generator", "encoder")
    return encoder not in (None, SAM_ENCODER) and _get(run, "prompts", "method") not in ("grid", "user")


def _get(run: RunFacts, *keys: str) -> Any:
    value: Any = run.settings
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
