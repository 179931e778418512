"""The way of one image: normalize, generate maps, emit prompts, ask SAM, merge."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.config import Config, load_config, make_model
from autosam.errors import ConfigError, InputError
from autosam.images import to_uint8, zoom_image
from autosam.images.channels import mean_picture, normalize_channels
from autosam.images.stain_normalization import normalize_stain
from autosam.instances import MaskCrop, Merged, fill_from_regions
from autosam.models.combine import CombineAnswers
from autosam.models.files.zoo import resolve_model
from autosam.models.networks import Networks, load_networks
from autosam.models.precision import choose_device
from autosam.models.sam.masks import decode_masks
from autosam.models.sam.oracle import Oracle
from autosam.models.sam.variants import image_size
from autosam.pipeline.find_zoom import SURE, known_zoom, segment_at_own_scale
from autosam.pipeline.maps import image_maps
from autosam.pipeline.segmentation import Segmentation, unzoomed
from autosam.pipeline.steps import (
    Regions,
    candidates_of,
    classify_regions,
    merge_answers,
    prompts_of,
    threshold_regions,
)
from autosam.prompts import (
    Prompt,
    check_prompts,
    deduplicate_prompts,
    grid_prompts,
    zoom_prompts,
)

DEFAULT_MODEL = "mito"
WITHOUT_SAM = 512
"""Side of the generator's tiles where no SAM sets one."""


class Segmenter:
    """A model that is ready to segment images.

    Parameters
    ----------
    networks : Networks
        In evaluation mode, on the device that they are to run on.
    config : Config
        Every setting of the pipeline; its ``model`` section must be the one that the networks were built with.
    name : str
        What the model is called in messages and records.

    Examples
    --------
    >>> from autosam import Segmenter, read_image                      # doctest: +SKIP
    >>> segmentation = Segmenter.from_model("mito").segment(read_image("slice.png"))  # doctest: +SKIP
    """

    def __init__(self, networks: Networks, config: Config, *, name: str = "") -> None:
        fixed = None if networks.generator is None else networks.generator.tile_size
        if fixed is not None and config.tiles.size not in (None, fixed):
            raise ConfigError(
                f"tiles.size is {config.tiles.size}; this model's generator is SAM's image encoder, which takes "
                f"tiles of {fixed} pixels only: leave tiles.size out"
            )
        self.networks = networks
        self.config = config
        self.name = name

    @classmethod
    def from_model(
        cls,
        model: str | Path = DEFAULT_MODEL,
        *,
        config: str | Path | None = None,
        overrides: Sequence[str] = (),
        device: str = "auto",
    ) -> "Segmenter":
        """Load a model file.

        Parameters
        ----------
        model : str or Path
            Name of a bundled model or a file that `autosam train` wrote.
        config : str or Path, optional
            Settings over those that the model brings.
        overrides : sequence of str
            ``section.key=value``, over everything else.
        device : str
            ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ...

        Returns
        -------
        Segmenter

        Raises
        ------
        AutosamError
            If the model, the settings or the device cannot be used.
        """
        target = choose_device(device)
        path = resolve_model(model)
        networks, header = load_networks(path)
        own: Mapping[str, Any] = header.settings
        resolved = load_config(config, overrides=overrides, defaults=own)
        if resolved.model != make_model(own):
            raise ConfigError(
                f"model.* settings are fixed by the model file {path.name}; take them out of --config and --set, "
                "or train another model"
            )
        for network in networks.parts:
            network.to(target)
        return cls(networks, resolved, name=str(model))

    def segment(
        self,
        image: NDArray[Any] | Sequence[NDArray[Any]],
        *,
        zoom: float | None = None,
        prompts: Sequence[Prompt] | None = None,
        oracle: NDArray[np.integer[Any]] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Segmentation:
        """Find every object in an image.

        Parameters
        ----------
        image : ndarray, shape (H, W) or (H, W, 3), or sequence of ndarray, shape (H, W)
            Any numeric type, any size from one pixel. A sequence holds the aligned channels of one scene, each
            normalized on its own, and ``images.combine`` says what becomes of them. With ``avg`` and ``max``
            prompts are found once, on the mean or maximum of the generator's maps, and every prompt's mask is that
            of the mean or maximum of the mask probabilities; constant channels are left out.
        zoom : float, optional
            How much the networks see this image zoomed, on top of ``images.zoom``; see `zoom`. By
            default 1, or what brings the objects to the scale of the training (``images.find_zoom``), unless
            prompts or an oracle came: the generator alone finds that, from the objects that it is sure of
            (`rescaling`).
        prompts : sequence of Prompt, optional
            A person's own. With ``prompts.method=user`` just these objects are found, otherwise these too: an
            automatic prompt makes way where one of them speaks of the same object. No threshold drops them.
        oracle : ndarray of integers, shape (H, W), optional
            The true labels, 0 for background. Every prompt is then answered by that mask, of the one that it has
            without an oracle and SAM's three, which has the highest IoU with any true object. What comes out is,
            prompt by prompt, an upper bound of what a better choice among the masks can give, never a result.
        progress : callable, optional
            Called with the number of SAM's windows done and to do; the latter can grow on the way.

        Returns
        -------
        Segmentation

        Raises
        ------
        InputError
            If the image has another shape, no pixel, or pixels that are no numbers (see
            ``images.non_finite``), if channels do not fit each other or ``images.combine``, if ``method=user``
            came without prompts, if prompts say nothing or lie outside the image, or if the oracle holds no labels
            of this image.
        ConfigError
            If prompts or an oracle came and ``decode.sam`` is off: nothing answers prompts, and there are no
            masks to choose from. If maps of affinities were to be averaged over zooms or mirror images.
        """
        settings = self.config.images
        seen: Segmentation | None = None
        if zoom is None:
            alone = not prompts and oracle is None and self.config.prompts.method not in ("user", "grid")
            if settings.find_zoom and settings.diameter is not None and alone:
                generator = self._generator_alone()
                seen = segment_at_own_scale(
                    lambda factor: generator.segment(image, zoom=factor),
                    trained=settings.diameter,
                    zoom_tolerance=settings.zoom_tolerance,
                    sure=SURE,
                )
                if generator is self:
                    return seen
                zoom = seen.zoom
            else:
                zoom = 1.0
        channels = normalize_channels(
            image,
            combine=settings.combine,
            low=settings.low,
            high=settings.high,
            non_finite=settings.non_finite,
        )
        picture = to_uint8(mean_picture(channels))
        # Colors of one image; channels of a scene are something else.
        matched = (
            normalize_stain(channels[0], settings.stain_references) if isinstance(image, np.ndarray) else None
        )
        if matched is not None:
            channels = [matched]
        shape = (channels[0].shape[0], channels[0].shape[1])
        if prompts is not None:
            check_prompts(prompts, shape)
        if prompts and not self.config.decode.sam:
            raise ConfigError(
                "prompts came, and decode.sam=false leaves no SAM to answer them; leave the prompts out, or use a "
                "model with a SAM and decode.sam=true"
            )
        if oracle is not None and not self.config.decode.sam:
            raise ConfigError(
                "an oracle chooses among SAM's masks, and decode.sam=false asks for none; change one"
            )
        truth = None if oracle is None else Oracle.of(oracle, shape)
        scale = settings.zoom * zoom
        if scale == 1:
            # On this grid the generator has seen the image already, where it sees it once.
            known = seen if self.config.decode.zooms == (1.0,) and not self.config.decode.flips else None
            result = self._segment(channels, channels, scale, prompts, truth, progress, known)
            return replace(result, picture=picture, zoom=zoom, stain_normalized=matched is not None)
        zoomed = [zoom_image(pixels, scale) for pixels in channels]
        height, width = zoomed[0].shape[:2]
        factors = (height / shape[0], width / shape[1])
        asked = None if prompts is None else zoom_prompts(prompts, factors)
        region_classifier = None if truth is None else truth.resized((height, width))
        result = self._segment(zoomed, channels, scale, asked, region_classifier, progress)
        result = unzoomed(result, picture, factors)
        return replace(result, zoom=zoom, stain_normalized=matched is not None)

    def _generator_alone(self) -> "Segmenter":
        """Return a generator-only segmenter."""
        decode = self.config.decode.model_copy(update={"sam": False, "flips": False, "zooms": (1.0,)})
        prompts = self.config.prompts.model_copy(update={"region_classifier": False})
        if decode == self.config.decode and (
            self.networks.region_classifier is None or prompts == self.config.prompts
        ):
            return self
        plain = self.config.model_copy(update={"decode": decode, "prompts": prompts})
        return Segmenter(self.networks, plain, name=self.name)

    def zoom(self, *, pixel_size_nm: float | None = None, diameter: float | None = None) -> float | None:
        """Say how much an image must be zoomed to look as those that the model was trained on.

        Parameters
        ----------
        pixel_size_nm : float, optional
            Side of its pixels.
        diameter : float, optional
            Typical diameter of its objects in pixels; counts before the pixel size.

        Returns
        -------
        float or None
            For `segment`; see `rescaling.known_zoom`.

        Raises
        ------
        ConfigError
            If a diameter came, and the model does not know that of its training objects.
        """
        settings = self.config.images
        return known_zoom(
            pixel_size=pixel_size_nm,
            diameter=diameter,
            trained_pixel_size=settings.pixel_size,
            trained_diameter=settings.diameter,
            zoom_tolerance=settings.zoom_tolerance,
        )

    def _segment(
        self,
        channels: Sequence[NDArray[np.float32]],
        source: Sequence[NDArray[np.float32]],
        scale: float,
        prompts: Sequence[Prompt] | None,
        oracle: Oracle | None,
        progress: Callable[[int, int], None] | None,
        seen: Segmentation | None = None,
    ) -> Segmentation:
        """Find objects in normalized channels, each (H, W, 3), at the scale that SAM works at.

        ``source`` are the same on the image's own grid, which is ``scale`` times coarser. ``seen`` has the maps,
        where they are known.
        """
        settings = self.config
        how: CombineAnswers = "max" if settings.images.combine == "max" else "avg"
        shape = (channels[0].shape[0], channels[0].shape[1])
        picture = to_uint8(mean_picture(channels))
        method = settings.prompts.method
        maps: dict[str, NDArray[np.float32]] = {}
        novelty: float | None = None
        regions = np.zeros(shape, dtype=np.int32)
        region_score: NDArray[np.float64] | None = None
        if method == "user":
            if prompts is None:
                raise InputError("prompts.method=user came without prompts; give a table with --prompts FILE.csv")
            asked = list(prompts)
        elif not any(pixels.any() for pixels in channels):
            # A constant image: whatever the networks say of it, there is no object to see.
            asked = list(prompts or ())
        elif method == "grid":
            asked = [*grid_prompts(shape, settings.prompts.grid), *(prompts or ())]
        else:
            if seen is not None:
                maps, novelty = seen.maps, seen.novelty
            else:
                maps, novelty = image_maps(
                    self.networks,
                    channels,
                    source,
                    scale=scale,
                    how=how,
                    tile_size=self._tile_size(),
                    overlap=settings.tiles.overlap,
                    settings=settings.decode,
                )
            found = self.find_regions(maps, picture)
            regions, region_score = found.labels, found.region_score
            asked = prompts_of(found, maps, settings.prompts)
            if prompts:
                asked = [*deduplicate_prompts(asked, regions, prompts), *prompts]
        by_hand = len(asked) - len(prompts or ())
        if not settings.decode.sam:
            scores = np.array([prompt.certainty for prompt in asked], dtype=np.float64)
            return Segmentation(regions, scores, asked, np.full(len(asked), -1), regions, maps, picture, novelty)
        sam = self.networks.sam
        # `Config` refuses decode.sam for a model without one.
        assert sam is not None
        masks = decode_masks(
            sam,
            picture if len(channels) == 1 else [to_uint8(pixels) for pixels in channels],
            asked,
            tile_size=self._tile_size(),
            overlap=settings.tiles.overlap,
            combine=how,
            alternatives=method == "grid" and oracle is None,
            oracle=oracle,
            batch_size=settings.decode.batch_size,
            precision=settings.decode.precision,
            fusion=settings.decode.fusion,
            progress=progress,
        )
        merged = self.merge(masks, asked, shape, by_hand=by_hand)
        if "foreground" in maps:
            merged = fill_from_regions(
                merged,
                regions,
                maps["foreground"],
                region_score=region_score,
                threshold=settings.merge.fallback,
                min_size=settings.merge.min_size,
            )
        prompt_of = np.array([masks[index].prompt if index >= 0 else -1 for index in merged.kept], dtype=np.int64)
        return Segmentation(merged.labels, merged.scores, asked, prompt_of, regions, maps, picture, novelty)

    def find_regions(self, maps: Mapping[str, NDArray[np.float32]], picture: NDArray[np.uint8]) -> Regions:
        """Split maps into the generator's own segmentation: by the region classifier, or by thresholds."""
        settings, region_classifier = self.config.prompts, self.networks.region_classifier
        if region_classifier is None or not settings.region_classifier:
            return Regions(threshold_regions(maps, settings))
        candidates = candidates_of(maps, picture, settings, diameter=float(region_classifier.diameter))
        return classify_regions(candidates, region_classifier, settings)

    def merge(
        self, masks: list[MaskCrop], asked: Sequence[Prompt], shape: tuple[int, int], *, by_hand: int
    ) -> Merged:
        """Make instances of every mask that SAM gave; prompts from ``by_hand`` on are a person's own."""
        return merge_answers(masks, asked, shape, self.config.merge, by_hand=by_hand)

    def _tile_size(self) -> int:
        if self.config.tiles.size is not None:
            return self.config.tiles.size
        return WITHOUT_SAM if self.networks.sam is None else image_size(self.networks.sam)
