"""The way of one image: view, predict, propose, decode, merge."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from autosam.config import Config
from autosam.errors import ConfigError, InputError
from autosam.images import to_uint8
from autosam.instances import MaskCrop
from autosam.models.combine import CombineAnswers
from autosam.models.compiling import compile_networks
from autosam.models.files.model_file import load_networks
from autosam.models.files.zoo import resolve_model
from autosam.models.networks import Networks
from autosam.models.precision import choose_device
from autosam.models.sam.masks import ChooseMask, EncodedWindows, decode_masks
from autosam.pipeline import find_zoom, merging, predict, propose
from autosam.pipeline.free_memory import give_back
from autosam.pipeline.look import look_at
from autosam.pipeline.model_settings import settings_for
from autosam.pipeline.probability_maps import Maps, MapSettings
from autosam.pipeline.propose import Proposals
from autosam.pipeline.segmentation import Segmentation
from autosam.pipeline.timings import Timed, timed
from autosam.pipeline.view import Image, View, make_view
from autosam.prompts import Prompt, check_prompts, zoom_prompts

DEFAULT_MODEL = "mito"


class Segmenter(Timed):
    """A model that is ready to segment images.

    `segment` is the whole way of an image. Each of its five steps can be called alone, and by a segmenter with
    other settings (`with_settings`), as long as the steps before it do not depend on what has changed.

    Parameters
    ----------
    networks : Networks
        In evaluation mode, on their device. `from_model` and `with_settings` compile them for ``decode.compile``.
    config : Config
        Its ``model`` section must be the one that the networks were built with.
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
        super().__init__()

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
            YAML file of settings over those that the model brings.
        overrides : sequence of str
            ``section.key=value``, over everything else.
        device : str
            ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ...
        """
        target = choose_device(device)
        path = resolve_model(model)
        networks, header = load_networks(path)
        resolved = settings_for(path, header.settings, config=config, overrides=overrides)
        for network in networks.parts:
            network.to(target)
        compile_networks(networks, resolved)
        return cls(networks, resolved, name=str(model))

    def with_settings(self, config: Config) -> "Segmenter":
        """Return a segmenter of the same networks with other settings; once compiled, they stay so."""
        if config.decode.compile and not self.config.decode.compile:
            compile_networks(self.networks, config)
        return Segmenter(self.networks, config, name=self.name).with_timings(self.timings)

    def segment(
        self,
        image: Image,
        *,
        zoom: float | None = None,
        prompts: Sequence[Prompt] | None = None,
        normalized: bool = False,
        keep_maps: bool = True,
        progress: Callable[[int, int], None] | None = None,
    ) -> Segmentation:
        """Find every object in an image.

        Parameters
        ----------
        image : ndarray, shape (H, W) or (H, W, 3), or sequence of ndarray, shape (H, W)
            Any numeric type, any size from one pixel. A sequence holds the aligned channels of a multichannel
            image, each normalized on its own. With ``images.combine`` avg or max, prompts are found once, on the
            mean or maximum of the generator's maps, and masks are those of the combined mask probabilities.
        zoom : float, optional
            How many times larger the networks see this image, on top of ``images.zoom``; see `known_zoom`. By
            default the one that brings the objects to the size of the training objects (``images.find_zoom``),
            or 1 where user prompts came.
        prompts : sequence of Prompt, optional
            User prompts. With ``prompts.method=user`` only their objects are found, otherwise these too, and a
            predicted prompt makes way where one of them is of the same object. No threshold drops their objects.
        normalized : bool
            The image is uint8 (H, W, 3) and normalized already, as that of a `LabeledImage`.
        keep_maps : bool
            Without the generator's maps in the result, a large image takes less memory.
        progress : callable, optional
            Called with the number of SAM's windows done and to do; the latter can grow on the way.

        Returns
        -------
        Segmentation
            On the image's own grid.

        Raises
        ------
        InputError, ConfigError
            Those of the steps.
        """
        view = self.view(image, 1.0 if prompts and zoom is None else zoom, normalized=normalized)
        maps = self.predict(view)
        give_back(math.prod(view.grid))
        proposals = self.propose(view, maps, prompts)
        if not keep_maps:
            view, maps = replace(view, maps=None), maps.only("foreground")
        masks = self.decode(view, proposals, progress=progress)
        give_back(math.prod(view.grid))
        result = self.merge(view, maps, proposals, masks)
        return result if keep_maps else replace(result, maps={})

    @timed("view")
    def view(self, image: Image, zoom: float | None = None, *, normalized: bool = False) -> View:
        """Normalize and zoom an image: step 1 of 5.

        Parameters
        ----------
        image, zoom, normalized
            See `segment` and `make_view`. The generator alone finds the zoom, from the objects that it is sure of.
        """
        settings = self.config.images
        view = make_view(image, settings, zoom=1.0 if zoom is None else zoom, normalized=normalized)
        if zoom is None and settings.find_zoom and settings.diameter is not None and self._predicts(view):
            once = self._map_settings()._replace(flips=False, zooms=(1.0,))
            with self.timings.stage("find_zoom", within="view"):
                return find_zoom.find_zoom(
                    view,
                    lambda seen, part: look_at(self.networks, seen, once, self.config.prompts, part=part),
                    trained=settings.diameter,
                    zoom_tolerance=settings.zoom_tolerance,
                )
        return view

    @timed("predict")
    def predict(self, view: View) -> Maps:
        """Predict the generator's probability maps: step 2 of 5.

        They are empty where the image is constant, or where ``prompts.method`` asks no generator.

        Raises
        ------
        ConfigError
            If maps of affinities were to be averaged over zooms or mirror images.
        """
        if not self._predicts(view):
            return Maps({})
        return predict.predict(self.networks, view, self._map_settings())

    @timed("propose")
    def propose(self, view: View, maps: Maps, prompts: Sequence[Prompt] | None = None) -> Proposals:
        """Find regions and make prompts: step 3 of 5.

        Parameters
        ----------
        prompts : sequence of Prompt, optional
            User prompts, in pixels of the image's own grid.

        Raises
        ------
        InputError
            If ``method=user`` came without prompts, or if prompts are empty or lie outside the image.
        ConfigError
            If user prompts came and ``decode.sam`` is off: nothing answers them.
        """
        settings = self.config.prompts
        check_prompts(prompts or (), view.shape)
        if prompts and not self.config.decode.sam:
            raise ConfigError(
                "prompts came, and decode.sam=false leaves no SAM to answer them; leave the prompts out, or use a "
                "model with a SAM and decode.sam=true"
            )
        if prompts is None and settings.method == "user":
            raise InputError("prompts.method=user came without prompts; give a table with --prompts FILE.csv")
        asked = zoom_prompts(prompts or (), view.factors)
        if maps.probabilities:
            classifier = self.networks.region_classifier
            return propose.propose(
                maps.probabilities, settings, classifier=classifier, picture=view.seen, user_prompts=asked
            )
        side = settings.grid if settings.method == "grid" and not view.blank else 0
        return propose.without_regions(view.grid, side=side, user_prompts=asked)

    @timed("decode")
    def decode(
        self,
        view: View,
        proposals: Proposals,
        *,
        choose: ChooseMask | None = None,
        alternatives: bool | None = None,
        encoded: EncodedWindows | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[MaskCrop] | None:
        """Ask SAM for masks: step 4 of 5.

        Parameters
        ----------
        choose, encoded : optional
            See `decode_masks`.
        alternatives : bool, optional
            Whether to keep all of SAM's masks for every prompt; by default for a grid's without ``choose``.

        Returns
        -------
        list of MaskCrop, or None
            On the grid of the networks, in order of prompt; None where SAM is not asked (``decode.sam``).
        """
        settings = self.config
        first = 0 if settings.refines_regions else proposals.first_user
        if not settings.decode.sam or (first and first == len(proposals.prompts)):
            return None
        sam, section = self.networks.sam, settings.model.sam
        # `Config` refuses decode.sam for a model without one.
        assert sam is not None
        assert section is not None
        if alternatives is None:
            alternatives = settings.prompts.method == "grid" and choose is None
        masks = decode_masks(
            sam,
            view.seen if len(view.channels) == 1 else [to_uint8(pixels) for pixels in view.zoomed],
            proposals.prompts[first:],
            tile_size=self._tile_size(),
            overlap=settings.tiles.overlap,
            settings=settings.decode,
            combine=self._combine(),
            enlarge=section.small_images == "enlarge",
            alternatives=alternatives,
            choose=choose,
            encoding=partial(self.timings.stage, "encode", within="decode"),
            encoded=encoded,
            progress=progress,
        )
        return [replace(mask, prompt=mask.prompt + first) for mask in masks] if first else masks

    @timed("merge")
    def merge(
        self, view: View, maps: Maps, proposals: Proposals, masks: Sequence[MaskCrop] | None
    ) -> Segmentation:
        """Make instances on the image's own grid: step 5 of 5.

        ``masks`` of None make the regions instances; with ``decode.sam=prompted`` they stand beside the masks.
        """
        if masks is None or self.config.refines_regions:
            return merging.merge(view, maps, proposals, masks, self.config.merge)
        return merging.merge_beside_regions(view, maps, proposals, masks, self.config.merge)

    def known_zoom(self, *, pixel_size_nm: float | None = None, diameter: float | None = None) -> float | None:
        """Zoom at which an image looks as the training images, or None; see `find_zoom.known_zoom`."""
        return find_zoom.known_zoom(self.config.images, pixel_size_nm=pixel_size_nm, diameter=diameter)

    def _predicts(self, view: View) -> bool:
        """Tell whether the generator is asked about an image."""
        return self.config.prompts.method not in ("user", "grid") and not view.blank

    def _map_settings(self) -> MapSettings:
        return MapSettings.of(self.config, tile_size=self._tile_size(), combine=self._combine())

    def _combine(self) -> CombineAnswers:
        return "max" if self.config.images.combine == "max" else "avg"

    def _tile_size(self) -> int:
        return self.config.tiles.size or self.networks.tile_size
