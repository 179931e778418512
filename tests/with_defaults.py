"""Functions that take settings, with the defaults of the config, for tests of something else than a setting."""

from functools import partial

from autosam import config, images, instances, prompts, regions
from autosam.images import channels
from autosam.models.generator import maps
from autosam.models.sam import decode_prompts, masks

_images, _prompts, _merge, _decode = (
    config.ImagesConfig(),
    config.PromptsConfig(),
    config.MergeConfig(),
    config.DecodeConfig(),
)
_sizes = {"min_size": _merge.min_size, "fill_holes": _merge.fill_holes}


def normalize(image, **settings):
    """Normalize, also with settings that the config would refuse."""
    return images.normalize(image, _images.model_copy(update=settings))


def normalize_channels(image, **settings):
    return channels.normalize_channels(image, _images.model_copy(update=settings))


find_regions = partial(
    regions.find_regions,
    threshold=_prompts.foreground,
    boundary_threshold=_prompts.boundary,
    center_threshold=_prompts.center,
    min_size=_prompts.min_size,
)
grow_tree = partial(regions.grow_tree, threshold=_prompts.foreground)
place_points = partial(prompts.place_points, method=_prompts.method, count=_prompts.points)
find_negatives = partial(prompts.find_negatives, count=1)
grid_prompts = partial(prompts.grid_prompts, side=_prompts.grid)
make_prompts = partial(
    prompts.make_prompts,
    method=_prompts.method,
    points=_prompts.points,
    negatives=_prompts.negatives,
    box=_prompts.box,
    box_margin=_prompts.box_margin,
    mask=_prompts.mask,
)
clean_mask = partial(instances.clean_mask, **_sizes)
suppress_masks = partial(instances.suppress_masks, iou_threshold=_merge.iou, ios_threshold=_merge.overlap)
merge_masks = partial(instances.merge_masks, iou_threshold=_merge.iou, ios_threshold=_merge.overlap, **_sizes)
fill_from_regions = partial(instances.fill_from_regions, threshold=_merge.fallback, **_sizes)
predict_maps = partial(maps.predict_maps, precision=_decode.precision)


def decode(sam, embedding, prompts, *, multimask=False, **settings):
    """Answer prompts in one image alone."""
    settings = {"batch_size": _decode.batch_size, "masks": "three" if multimask else "single"} | settings
    return (batch for (batch,) in decode_prompts.decode(sam, [embedding], prompts, **settings))


def upsample(sam, logits, embedding):
    """Bring low-resolution logits to the image's pixels, as SAM does."""
    return sam.postprocess_masks(logits, embedding.input_size, embedding.original_size)


def decode_masks(
    sam,
    image,
    prompts,
    *,
    tile_size,
    overlap,
    combine="avg",
    enlarge=False,
    alternatives=False,
    choose=None,
    progress=None,
    **settings,
):
    return masks.decode_masks(
        sam,
        image,
        prompts,
        tile_size=tile_size,
        overlap=overlap,
        settings=config.DecodeConfig(**settings),
        combine=combine,
        enlarge=enlarge,
        alternatives=alternatives,
        choose=choose,
        progress=progress,
    )
