"""One model of two: the generator of one and the SAM of another, neither of them trained further."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from autosam.config import SAM_ENCODER, Config, SamConfig, make_config
from autosam.errors import ModelError
from autosam.images import write_text
from autosam.models.files.base_weights import base_state, find_base, with_preprocessing
from autosam.models.files.checkpoint import (
    REGION_CLASSIFIER,
    STATISTICS,
    ModelHeader,
    is_model,
    join_parts,
    load_model,
    read_header,
    save_model,
    split_parts,
)
from autosam.models.files.file_hash import file_sha256
from autosam.models.files.zoo import BASES, BUNDLED, resolve_model
from autosam.models.variants import PATCH, Variant, build_sam
from autosam.models.variants import image_size as input_size
from autosam.models.weights import detect_variant, load_sam_weights

UNKNOWN_LICENSE = "not stated"


class _Sam(NamedTuple):
    """What a joined model says about its SAM: settings, license, and those of the model that it comes from."""

    settings: SamConfig
    path: Path
    license: str
    trained_by_autosam: Config | None


def join_models(
    generator: str | Path, sam: str, out: Path, *, preprocessing: Literal["sam", "unit"] | None = None
) -> ModelHeader:
    """Write a model of one model's generator and any SAM that answers prompts, and its card beside it.

    SAM gets points and boxes. It gets mask prompts and fusion only if it is of a model of autosam's own that uses
    them. A SAM of others sees small images enlarged. The model file holds the generator, and the name and hash
    of SAM's weights.

    Parameters
    ----------
    generator : str or Path
        Name or file of a model with a generator of its own.
    sam : str
        Name of published weights or of a bundled model, or a file.
    out : Path
        The model file, `.safetensors`; the card has its name with `.md`.
    preprocessing : {"sam", "unit"}, optional
        What SAM's encoder gets; by default what the weights are known to want.

    Raises
    ------
    ModelError
        If there is no such model or SAM, there is no generator in it, the weights are no SAM or do not load, or
        there is a file at ``out``.
    OutputError
        If it cannot be written.
    """
    for path in (out, out.with_suffix(".md")):
        if path.exists():
            raise ModelError(f"{path} exists; choose another file with -o, or take it away")
    path = resolve_model(generator)
    tensors, header = load_model(path)
    config = make_config(header.settings)
    if config.model.generator is None or config.model.generator.encoder == SAM_ENCODER:
        raise ModelError(
            f"{path} has no generator of its own to join with a SAM; choose one of {', '.join(BUNDLED)}"
        )
    found = _find_sam(sam, preprocessing)
    settings = _joined_settings(config, found)
    parts = split_parts(tensors)
    kept = {name: parts[name] for name in ("generator", STATISTICS, REGION_CLASSIFIER) if name in parts}
    joined = ModelHeader(
        settings=settings,
        base_name=sam,
        base_sha256=file_sha256(found.path),
        training={"generator": {"model": str(generator), "sha256": file_sha256(path), **header.training}},
        license=f"generator: {header.license or UNKNOWN_LICENSE}; SAM: {found.license}",
    )
    save_model(out, tensors=join_parts(kept), metadata=joined, half=True)
    write_text(out.with_suffix(".md"), _card(out.stem, str(generator), sam, joined, make_config(settings)))
    return joined


def _find_sam(name: str, preprocessing: Literal["sam", "unit"] | None) -> _Sam:
    """Read SAM's weights, see that they load, and settle what it gets."""
    path = find_base(name)
    theirs: Config | None = None
    license = BASES[name].license if name in BASES else UNKNOWN_LICENSE
    if is_model(path):
        header = read_header(path)
        theirs, license = make_config(header.settings), header.license or UNKNOWN_LICENSE
        if not theirs.model.prompted:
            raise ModelError(f"{path} has no SAM that answers prompts; give one that has, such as vit_b")
    state = base_state(path)
    variant = detect_variant(state)
    if variant is None:
        raise ModelError(f"{path} holds no SAM that autosam knows; wanted vit_b, vit_l, vit_h or tiny")
    side = _input_side(state, variant)
    load_sam_weights(build_sam(variant, image_size=side), state, variant=variant, source=path)
    settings = SamConfig(
        variant=variant,
        image_size=side,
        base=name,
        preprocessing=preprocessing,
        small_images="enlarge" if theirs is None else _sam_of(theirs).small_images,
        encoder="frozen",
        prompt_encoder="frozen",
        mask_decoder="frozen",
    )
    return _Sam(settings, path, license, theirs)


def _sam_of(config: Config) -> SamConfig:
    assert config.model.sam is not None
    return config.model.sam


def _input_side(state: dict[str, Tensor], variant: Variant) -> int | None:
    """Side of SAM's input that the weights were trained with; None for the variant's own."""
    with torch.device("meta"):
        own = input_size(build_sam(variant))
    side = int(state["image_encoder.pos_embed"].shape[1]) * PATCH
    return None if side == own else side


def _joined_settings(config: Config, sam: _Sam) -> dict[str, Any]:
    """Give the settings of the generator's model, with another SAM and what that is told."""
    theirs = sam.trained_by_autosam
    knows_masks = theirs is not None and theirs.model.generator is not None and theirs.prompts.mask
    prompts = {"box": True, "points": max(1, config.prompts.points), "mask": knows_masks}
    fusion = theirs.decode.fusion if theirs is not None and knows_masks else 0.0
    joined = config.model_copy(
        update={
            "model": with_preprocessing(config.model.model_copy(update={"sam": sam.settings})),
            "tiles": config.tiles.model_copy(update={"size": None}),
            "prompts": config.prompts.model_copy(update=prompts),
            "decode": config.decode.model_copy(update={"sam": True, "fusion": fusion}),
        }
    )
    used = {"images", "model", "tiles", "prompts", "decode", "merge"}
    dumped: dict[str, Any] = joined.model_dump(mode="json", include=used)
    # Checked as a whole, as a model file is when it is used.
    make_config(dumped)
    return dumped


def _card(name: str, generator: str, sam: str, header: ModelHeader, config: Config) -> str:
    """Describe the pair: its parts, the zoom at which they work, thresholds and licenses."""
    images, prompts, merge, section = config.images, config.prompts, config.merge, _sam_of(config)
    pixel_size = "not known" if images.pixel_size is None else f"{images.pixel_size:g} nm"
    diameter = "not known" if images.diameter is None else f"{images.diameter:g} pixels"
    regions = (
        f"foreground {prompts.foreground:g}, boundary {prompts.boundary:g}, center {prompts.center:g}, "
        f"region score {prompts.min_region_score:g}, at least {prompts.min_size} pixels"
    )
    masks = (
        f"score {merge.min_score:g}, IoU {merge.iou:g}, overlap {merge.overlap:g}, fallback {merge.fallback:g}, "
        f"at least {merge.min_size} pixels"
    )
    told = "points, boxes and the generator's masks" if prompts.mask else "points and boxes, no masks"
    return f"""# {name}

The generator of `{generator}` and the SAM of `{sam}`, joined without training. Nobody has measured this pair:
`autosam evaluate` compares it with your own labels.

| | |
|---|---|
| SAM | {section.variant}, weights with SHA-256 {header.base_sha256} |
| SAM is told | {told}; fusion {config.decode.fusion:g} |
| pixels for SAM | preprocessing `{section.preprocessing}`, small images: `{section.small_images}` |
| zoom | {images.zoom:g}; images of known pixel size are zoomed to {pixel_size} |
| median diameter of the training objects | {diameter} |
| thresholds of the generator | {regions} |
| thresholds of the merge | {masks} |
| license of the generator and of SAM | {header.license} |

Both licenses bind. The base weights have to be on the machine that uses this model.
"""
