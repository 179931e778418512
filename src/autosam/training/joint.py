"""One model of up to two networks: from tiles and labels to the loss."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from torch import Tensor, nn

from autosam.config import PromptsConfig, TrainingConfig
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.generator.unet import Generator
from autosam.models.networks import Networks
from autosam.models.sam.encoder import encode_tokens
from autosam.models.sam.interface import Embedding, preprocess
from autosam.models.variants import image_size
from autosam.prompts import Prompt, prompt_place
from autosam.training.losses.answers import by_kind, learn
from autosam.training.losses.batch_loss import BatchLoss
from autosam.training.losses.coarse_maps import CoarseMaps, coarse_loss
from autosam.training.losses.pixel_losses import GENERATOR_LOSSES, bce
from autosam.training.prompting.prompt_targets import TilePrompts, match_user_prompts
from autosam.training.prompting.tile_prompts import predicted_prompts, simulated_prompts
from autosam.training.prompting.vary import drop_parts, vary_points
from autosam.training.prompting.wrong_prompts import wrong_prompts
from autosam.training.samples.targets import generator_targets, target_weights
from autosam.training.teacher import MIRRORED, Teacher


class UserPrompts:
    """The user prompts of each tile of a batch, in tile pixels.

    Not a sequence, because Fabric walks through a model's input in mixed precision, and refuses a frozen dataclass
    in it.
    """

    def __init__(self, tiles: Sequence[Sequence[Prompt]]) -> None:
        self._tiles = tiles

    def __getitem__(self, index: int) -> Sequence[Prompt]:
        """Give the prompts of one tile."""
        return self._tiles[index]


class JointModel(nn.Module):
    """Generator and SAM, trained together, or one of them alone.

    The mask loss reaches the generator through the mask prompt, which is made of its logits
    (``training.soft_mask``); points and boxes carry no gradient.

    Parameters
    ----------
    networks : Networks
        SAM at the tile's size: a tile is one input of SAM.
    prompts : PromptsConfig
        How prompts are predicted.
    teacher : Teacher, optional
        Gives maps that the generator learns beside the labels (``training.teacher_share``), or where these are
        unknown (``training.teacher_where``).
    """

    sam: Sam | None
    generator: Generator | SamGenerator | None

    def __init__(
        self,
        networks: Networks,
        *,
        prompts: PromptsConfig,
        training: TrainingConfig,
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__()
        self._teacher = teacher
        self.sam = networks.sam
        self.generator = networks.generator
        # `drop_parts` leaves points, boxes and masks out again: SAM learns prompts with and without each of them.
        whole = {"points": max(1, prompts.points), "box": True, "mask": True}
        self._prompts = prompts.model_copy(update=whole)
        self._training = training
        if self.generator is not None and training.freeze_generator:
            self.generator.requires_grad_(False)
        if isinstance(self.generator, Generator) and training.freeze_stages:
            self.generator.freeze_stages(training.freeze_stages)
        self.coarse_maps: CoarseMaps | None = None
        if isinstance(self.generator, Generator) and training.deep_supervision:
            self.coarse_maps = CoarseMaps(self.generator)
        if isinstance(self.generator, SamGenerator):
            self.generator.checkpointed = training.checkpoint_blocks

    def train(self, mode: bool = True) -> "JointModel":
        """Switch the mode; what is frozen keeps the running statistics that it came with."""
        super().train(mode)
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d) and (
                self._training.freeze_statistics or not layer.weight.requires_grad
            ):
                layer.eval()
        return self

    def forward(
        self,
        images: Tensor,
        labels: Tensor,
        *,
        user_prompts: Sequence[Sequence[Prompt]] | UserPrompts,
        predicted_share: float,
        seed: tuple[int, int],
        first: int = 0,
    ) -> BatchLoss:
        """Compute the loss of a batch.

        Parameters
        ----------
        images : Tensor of float32, shape (B, 3, S, S)
            0 to 1; S is SAM's input size.
        labels : Tensor of int32, shape (B, S, S)
            -1 where nothing is learnt.
        user_prompts : sequence of B sequences of Prompt, or UserPrompts
            In tile pixels.
        predicted_share : float
            Probability that a tile has predicted prompts and not ground-truth prompts. Without a generator there
            are only the latter.
        seed : tuple of int
            Everything random in this step follows from it and from the tile's number in the step.
        first : int
            That number of the batch's first tile.
        """
        marked = labels.cpu().numpy()
        valid = marked >= 0
        label_maps = marked if valid.all() else np.where(valid, marked, 0)
        zero = images.new_zeros((), dtype=torch.float32)
        loss, logits = BatchLoss.none(zero)._replace(tiles=len(label_maps)), None
        maps: list[dict[str, NDArray[np.float32]]] = [{} for _ in label_maps]
        if self.generator is not None:
            coarse: list[Tensor] = []
            if self.coarse_maps is None:
                logits = self.generator(images).float()
            else:
                assert isinstance(self.generator, Generator)
                logits, stages = self.generator.logits_and_stages(images)
                logits, coarse = logits.float(), self.coarse_maps(stages)
            learned = self._generator_loss(images, logits, coarse, label_maps, valid, (*seed, first))
            loss = loss._replace(generator=learned)
            probabilities = logits.detach().sigmoid().cpu().numpy()
            maps = [dict(zip(self.generator.channels, tile, strict=True)) for tile in probabilities]
        # No prompts can be made of maps that are no numbers; the loop says what to do.
        if self.sam is not None and bool(torch.isfinite(loss.generator)):
            pixels = preprocess(self.sam, images * 255)
            features, _ = encode_tokens(
                self.sam.image_encoder, pixels, checkpointed=self._training.checkpoint_blocks and self.training
            )
            for index, tile_labels in enumerate(label_maps):
                rng = np.random.default_rng((*seed, first + index))
                predicted = rng.random() < predicted_share and self.generator is not None
                sets = self._prompt_sets(
                    tile_labels, valid[index], maps[index], user_prompts[index], predicted=predicted, rng=rng
                )
                foreground = None if logits is None else self._foreground(logits[index])
                loss = loss.joined(self._learn(sets, features[index].float(), labels[index], foreground, rng))
        if self.training and not any(part.requires_grad for part in (loss.generator, loss.mask, loss.iou)):
            # SAM was asked nothing, as in a batch without objects, but a step wants a gradient.
            trained = next((parameter for parameter in self.parameters() if parameter.requires_grad), zero)
            loss = loss._replace(mask=loss.mask + 0 * trained.sum())
        return loss

    def _generator_loss(
        self,
        images: Tensor,
        logits: Tensor,
        coarse: Sequence[Tensor],
        label_maps: NDArray[np.int32],
        valid: NDArray[np.bool_],
        seed: tuple[int, ...],
    ) -> Tensor:
        """Sum the generator's loss over tiles, by their labels and by the teacher's maps."""
        known = self._label_loss(logits, coarse, label_maps, valid)
        everywhere = self._training.teacher_where == "everywhere"
        if self._teacher is None or (valid.all() and not everywhere):
            return known
        # A stream of its own beside that of the first tile.
        drawn = np.random.default_rng((*seed, 1)).integers(len(MIRRORED), size=len(self._teacher.scales))
        unknown = None if everywhere else torch.from_numpy(~valid[:, None]).to(logits)
        taught = bce(logits, self._teacher.maps(images, mirrored=drawn.tolist()), unknown).mean(dim=1).sum()
        share = self._training.teacher_share
        return share * taught + (1 - share if everywhere else 1) * known

    def _label_loss(
        self,
        logits: Tensor,
        coarse: Sequence[Tensor],
        label_maps: NDArray[np.int32],
        valid: NDArray[np.bool_],
    ) -> Tensor:
        """Sum the loss over tiles; logits are (B, C, S, S) or coarser, labels and valid pixels (B, S, S)."""
        assert self.generator is not None
        channels, width = self.generator.channels, self._training.boundary_width
        targets = torch.from_numpy(
            np.stack([generator_targets(tile, channels, boundary_width=width) for tile in label_maps])
        )
        weights = None
        if not valid.all():
            known = [
                target_weights(tile, where, channels, boundary_width=width)
                for tile, where in zip(label_maps, valid, strict=True)
            ]
            weights = torch.from_numpy(np.stack(known)).to(logits.device)
        loss = GENERATOR_LOSSES[self._training.generator_loss]
        targets = targets.to(logits.device)
        total: Tensor = loss(logits, targets, weights).mean(dim=1).sum()
        for one in coarse:
            share = self._training.deep_supervision / len(coarse)
            total = total + share * coarse_loss(loss, one, targets, weights)
        return total

    def _foreground(self, logits: Tensor) -> Tensor | None:
        """Pick the foreground, (S, S), of a tile's logits, (C, S, S), where the generator has one."""
        channels = () if self.generator is None else self.generator.channels
        return logits[channels.index("foreground")] if "foreground" in channels else None

    def _prompt_sets(
        self,
        labels: NDArray[np.int32],
        valid: NDArray[np.bool_],
        maps: dict[str, NDArray[np.float32]],
        user_prompts: Sequence[Prompt],
        *,
        predicted: bool,
        rng: np.random.Generator,
    ) -> list[TilePrompts]:
        """Prompt one tile: by the generator or its labels, by user prompts, or by both."""
        settings, sets = self._training, []
        if not user_prompts or settings.user_prompts == "add":
            prompts = vary_points(self._prompts, settings.simulate.points_per_object, rng)
            if predicted:
                tile = predicted_prompts(labels, maps, prompts, settings, rng, valid=valid)
            else:
                tile = simulated_prompts(labels, maps.get("foreground"), prompts, settings, rng)
            sets.append(replace(tile, prompts=drop_parts(tile.prompts, settings, rng)))
            if settings.simulate.wrong:
                wrong = wrong_prompts(labels, prompts, settings, rng, valid=valid)
                sets.append(replace(wrong, prompts=drop_parts(wrong.prompts, settings, rng)))
        if user_prompts:
            sets.append(match_user_prompts(labels, user_prompts, valid=valid))
        return sets

    def _learn(
        self,
        sets: Sequence[TilePrompts],
        features: Tensor,
        labels: Tensor,
        foreground: Tensor | None,
        rng: np.random.Generator,
    ) -> BatchLoss:
        """Prompt SAM in one tile, of features (C, h, w), and compare its answers with the objects."""
        assert self.sam is not None
        side = image_size(self.sam)
        loss = BatchLoss.none(features.new_zeros(()))
        again = self._training.second_pass > 0 and rng.random() < self._training.second_pass
        for tile in sets:
            places = np.array([prompt_place(prompt) for prompt in tile.prompts] if again else []).reshape(-1, 2)
            for members in by_kind(tile.prompts):
                loss = loss.joined(
                    learn(
                        self.sam,
                        # Anew for each, which fixes the order in which gradients are summed.
                        Embedding(features[None], (side, side), (side, side)),
                        [tile.prompts[member] for member in members],
                        labels,
                        torch.from_numpy(tile.targets[members]).to(features.device),
                        regions=tile.regions,
                        foreground=foreground,
                        settings=self._training,
                        rng=rng,
                        best_iou=tile.best_iou,
                        others=[np.delete(places, member, axis=0) for member in members] if again else None,
                    )
                )
        return loss
