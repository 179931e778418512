"""One model of up to two networks: from tiles and labels to the loss."""

from collections.abc import Sequence
from typing import NamedTuple

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
from autosam.models.sam.interface import LOW_RES_STRIDE, Embedding, preprocess
from autosam.models.sam.variants import image_size
from autosam.prompts import Prompt
from autosam.regions import affinity_maps
from autosam.training.losses.answers import Answers, by_kind, learn
from autosam.training.losses.pixel_losses import GENERATOR_LOSSES
from autosam.training.prompting.tile_prompts import (
    TilePrompts,
    ground_truth_prompts,
    match_user_prompts,
    predicted_prompts,
    vary,
    vary_thresholds,
)
from autosam.training.samples.targets import generator_targets


class BatchLoss(NamedTuple):
    """The loss of one batch in parts, as sums with their counts, so that batches of several devices can be joined.

    A named tuple of tensors, because Fabric and DistributedDataParallel walk through a model's output.

    Attributes
    ----------
    generator : Tensor
        Sum over the tiles of the generator's loss; 0 without a generator.
    mask, iou : Tensor
        Sums over the answers of the mask loss and of the squared error of the predicted IoU; 0 where the batch
        has no prompt.
    tiles, masks, answers : Tensor
        How many terms these three sums have, without gradient.
    mask_iou : Tensor
        Sum of the IoUs of the first masks with their objects, for the log; ``masks`` many.
    matched : Tensor
        How many prompts have an object, of ``prompts``.
    prompts : Tensor
        How many prompts SAM was first asked.
    """

    generator: Tensor
    mask: Tensor
    iou: Tensor
    tiles: Tensor
    masks: Tensor
    answers: Tensor
    mask_iou: Tensor
    matched: Tensor
    prompts: Tensor


class UserPrompts:
    """The prompts of people in each tile of a batch.

    No sequence, because Fabric walks through a model's input in mixed precision, and refuses a frozen dataclass
    in it.

    Parameters
    ----------
    tiles : sequence of sequences of Prompt
        Those of each tile, in pixels of the tile.
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
    training : TrainingConfig
    """

    sam: Sam | None
    generator: Generator | SamGenerator | None

    def __init__(self, networks: Networks, *, prompts: PromptsConfig, training: TrainingConfig) -> None:
        super().__init__()
        self.sam = networks.sam
        self.generator = networks.generator
        self._prompts = prompts
        self._training = training
        if self.generator is not None and training.freeze_generator:
            self.generator.requires_grad_(False)
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
        user_prompts : sequence of B sequences of Prompt, or UserPrompts
            The prompts of people in each tile, in pixels of the tile.
        predicted_share : float
            Probability that a tile is prompted by the generator and not by the truth; without a generator there
            is only the truth.
        seed : tuple of int
            Everything random in this step follows from it and from the tile's number in the step.
        first : int
            That number of the batch's first tile.

        Returns
        -------
        BatchLoss
        """
        label_maps = labels.cpu().numpy()
        zero = images.new_zeros((), dtype=torch.float32)
        generator_loss, logits = zero, None
        maps: list[dict[str, NDArray[np.float32]]] = [{} for _ in label_maps]
        if self.generator is not None:
            channels = self.generator.channels
            width = self._training.boundary_width
            targets = torch.from_numpy(
                np.stack([generator_targets(tile, channels, boundary_width=width) for tile in label_maps])
            )
            logits = self.generator(images).float()
            loss_of = GENERATOR_LOSSES[self._training.generator_loss]
            generator_loss = loss_of(logits, targets.to(logits.device)).mean(dim=1).sum()
            probabilities = logits.detach().sigmoid().cpu().numpy()
            maps = [dict(zip(channels, tile, strict=True)) for tile in probabilities]
        answers = Answers.none(zero)
        # No prompts can be made of maps that are no numbers; the loop says what to do.
        if self.sam is not None and bool(torch.isfinite(generator_loss)):
            pixels = preprocess(self.sam, images * 255)
            features, _ = encode_tokens(
                self.sam.image_encoder, pixels, checkpointed=self._training.checkpoint_blocks and self.training
            )
            for index, tile_labels in enumerate(label_maps):
                rng = np.random.default_rng((*seed, first + index))
                answers = answers.joined(
                    self._learn_tile(
                        tile_labels,
                        labels[index],
                        maps[index],
                        features[index].float(),
                        None if logits is None else logits[index],
                        user_prompts[index],
                        predicted=rng.random() < predicted_share and self.generator is not None,
                        rng=rng,
                    )
                )
        mask_loss = answers.mask
        if self.training and not any(part.requires_grad for part in (generator_loss, mask_loss, answers.iou)):
            # SAM was asked nothing, as in a batch without objects, but a step wants a gradient.
            trained = next((parameter for parameter in self.parameters() if parameter.requires_grad), zero)
            mask_loss = mask_loss + 0 * trained.sum()
        return BatchLoss(
            generator=generator_loss,
            mask=mask_loss,
            iou=answers.iou,
            tiles=zero + len(label_maps),
            masks=zero + answers.masks,
            answers=zero + answers.answers,
            mask_iou=zero + answers.mask_iou,
            matched=zero + answers.matched,
            prompts=zero + answers.prompts,
        )

    def _learn_tile(
        self,
        labels: NDArray[np.int32],
        label_tensor: Tensor,
        maps: dict[str, NDArray[np.float32]],
        features: Tensor,
        logits: Tensor | None,
        user_prompts: Sequence[Prompt],
        *,
        predicted: bool,
        rng: np.random.Generator,
    ) -> Answers:
        """Prompt SAM in one tile and compare its answers with the objects."""
        assert self.sam is not None
        settings = self._training
        sets = []
        if not user_prompts or settings.user_prompts == "add":
            tile = self._prompt_tile(labels, maps, predicted=predicted, rng=rng)
            prompts = vary(
                tile.prompts,
                mask_share=settings.mask_prompt,
                box_only=settings.simulate.box_only,
                point_only=settings.simulate.point_only,
                rng=rng,
            )
            sets.append((tile, prompts))
        if user_prompts:
            own = match_user_prompts(labels, user_prompts)
            sets.append((own, own.prompts))
        foreground = None
        if logits is not None and self.generator is not None and "foreground" in self.generator.channels:
            foreground = logits[self.generator.channels.index("foreground")]
        side = image_size(self.sam)
        total = Answers.none(features.new_zeros(()))
        for tile, prompts in sets:
            for members in by_kind(prompts):
                total = total.joined(
                    learn(
                        self.sam,
                        Embedding(features[None], (side, side), (side, side)),
                        [prompts[member] for member in members],
                        label_tensor,
                        torch.from_numpy(tile.targets[members]).to(features.device),
                        regions=tile.regions,
                        foreground=foreground,
                        settings=settings,
                        stride=LOW_RES_STRIDE,
                        rng=rng,
                    )
                )
        return total

    def _prompt_tile(
        self,
        labels: NDArray[np.int32],
        maps: dict[str, NDArray[np.float32]],
        *,
        predicted: bool,
        rng: np.random.Generator,
    ) -> TilePrompts:
        settings, training = self._prompts, self._training
        # `vary` drops points, boxes and masks again, so SAM learns prompts with and without each of them.
        points = max(1, settings.points)
        if predicted:
            foreground, boundary, center = vary_thresholds(
                (settings.foreground, settings.boundary, settings.center), reach=training.vary_thresholds, rng=rng
            )
            return predicted_prompts(
                labels,
                maps.get("foreground"),
                maps.get("boundary"),
                center=maps.get("center"),
                center_threshold=center,
                affinities=affinity_maps(maps),
                count=training.prompts_per_tile,
                threshold=foreground,
                boundary_threshold=boundary,
                min_size=settings.min_size,
                # A model that is to be prompted by hand or by a grid emits nothing.
                method=settings.method,
                points=points,
                negatives=settings.negatives,
                box_margin=settings.box_margin,
                matching=training.matching,
                unmatched=training.unmatched,
                rng=rng,
            )
        return ground_truth_prompts(
            labels,
            maps.get("foreground"),
            count=training.prompts_per_tile,
            min_size=settings.min_size,
            points=points,
            negatives=settings.negatives,
            box_margin=settings.box_margin,
            how=training.simulate.points,
            jitter=training.simulate.box_jitter,
            max_jitter=training.simulate.max_jitter,
            mask=training.mask_prompt > 0,
            rng=rng,
        )
