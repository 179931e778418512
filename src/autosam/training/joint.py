"""One model of two networks: from tiles and labels to the joint loss."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from torch import Tensor, nn

from autosam.config import PromptsConfig, TrainingConfig
from autosam.models.generator import Generator
from autosam.models.sam import LOW_RES_STRIDE, Embedding, dense_position, embed_prompts, preprocess
from autosam.models.variants import image_size
from autosam.prompts import ABSENT, Prompt
from autosam.training.losses import bce_dice, mask_bce_dice, mask_iou
from autosam.training.prompting import TilePrompts, emitted_prompts, truth_prompts, vary
from autosam.training.targets import generator_targets, mask_targets


class JointLoss(NamedTuple):
    """The loss of one batch, in parts; each a scalar with gradient except the last two.

    A named tuple, because Fabric walks through a model's output and refuses frozen dataclasses.

    Attributes
    ----------
    generator, mask, iou : Tensor
        Generator BCE + Dice; mask BCE + Dice; squared error of the predicted IoU. Mask and IoU are 0 where the
        batch has no prompt.
    mask_iou : float
        Mean IoU of the masks with their objects; NaN where there is none.
    matched : float
        Share of the prompts that have an object; NaN without prompts.
    """

    generator: Tensor
    mask: Tensor
    iou: Tensor
    mask_iou: float
    matched: float


class JointModel(nn.Module):
    """Generator and SAM, trained together.

    The mask loss reaches the generator through the mask prompt, which is made of its logits; points and boxes
    carry no gradient.

    Parameters
    ----------
    sam : Sam
        At the tile's size: a tile is one input of SAM.
    generator : Generator
    prompts : PromptsConfig
        How prompts are emitted.
    training : TrainingConfig
    """

    def __init__(
        self, sam: Sam, generator: Generator, *, prompts: PromptsConfig, training: TrainingConfig
    ) -> None:
        super().__init__()
        self.sam = sam
        self.generator = generator
        self._prompts = prompts
        self._training = training

    def train(self, mode: bool = True) -> "JointModel":
        """Switch the mode; what is frozen keeps the running statistics that it came with."""
        super().train(mode)
        for layer in self.sam.modules():
            if isinstance(layer, nn.BatchNorm2d) and not layer.weight.requires_grad:
                layer.eval()
        return self

    def forward(self, images: Tensor, labels: Tensor, *, emitted_share: float, seed: tuple[int, int]) -> JointLoss:
        """Compute the loss of a batch.

        Parameters
        ----------
        images : Tensor of float32, shape (B, 3, S, S)
            0 to 1; S is SAM's input size.
        labels : Tensor of int32, shape (B, S, S)
        emitted_share : float
            Probability that a tile is prompted by the generator and not by the truth.
        seed : tuple of int
            Everything random in this step follows from it.

        Returns
        -------
        JointLoss
        """
        label_maps = labels.cpu().numpy()
        channels = self.generator.channels
        targets = torch.from_numpy(np.stack([generator_targets(tile, channels) for tile in label_maps]))
        logits = self.generator(images).float()
        generator_loss = bce_dice(logits, targets.to(logits.device)).mean()
        if not bool(torch.isfinite(generator_loss)):
            # No prompts can be made of such maps; the loop says what to do.
            nothing = torch.zeros_like(generator_loss)
            return JointLoss(generator_loss, nothing, nothing, float("nan"), float("nan"))

        features = self.sam.image_encoder(preprocess(self.sam, images * 255)).float()
        probabilities = logits.detach().sigmoid().cpu().numpy()
        mask_losses, iou_losses, ious, matched = [], [], [], []
        for index, tile_labels in enumerate(label_maps):
            rng = np.random.default_rng((*seed, index))
            maps = dict(zip(channels, probabilities[index], strict=True))
            tile = self._prompt_tile(tile_labels, maps, emitted=rng.random() < emitted_share, rng=rng)
            if not tile.prompts:
                continue
            prompts = vary(tile.prompts, mask_share=self._training.mask_prompt, rng=rng)
            for members in by_number_of_points(prompts):
                ids = torch.from_numpy(tile.targets[members]).to(labels.device)
                asked = [prompts[member] for member in members]
                answer, predicted_iou = self._answer(asked, tile.basins, features[index], logits[index])
                mask_loss, iou_loss, iou = tile_losses(
                    answer, predicted_iou, mask_targets(labels[index], ids, LOW_RES_STRIDE), ids > 0
                )
                mask_losses.append(mask_loss)
                iou_losses.append(iou_loss)
                ious.append(iou)
                matched.append(ids > 0)
        found = torch.cat(matched).float() if matched else torch.zeros(0)
        return JointLoss(
            generator=generator_loss,
            mask=torch.cat(mask_losses).mean() if any(len(part) for part in mask_losses) else logits.sum() * 0,
            iou=torch.cat(iou_losses).mean() if iou_losses else logits.sum() * 0,
            mask_iou=float(torch.cat(ious).mean()) if any(len(part) for part in ious) else float("nan"),
            matched=float(found.mean()) if len(found) else float("nan"),
        )

    def _prompt_tile(
        self,
        labels: NDArray[np.int32],
        maps: dict[str, NDArray[np.float32]],
        *,
        emitted: bool,
        rng: np.random.Generator,
    ) -> TilePrompts:
        settings = self._prompts
        # `vary` drops points, boxes and masks again, so SAM learns prompts with and without each of them.
        points = max(1, settings.points)
        if emitted:
            return emitted_prompts(
                labels,
                maps.get("foreground"),
                maps.get("boundary"),
                count=self._training.prompts_per_tile,
                threshold=settings.foreground,
                boundary_threshold=settings.boundary,
                min_size=settings.min_size,
                method=settings.method,
                points=points,
                negatives=settings.negatives,
                box_margin=settings.box_margin,
                rng=rng,
            )
        return truth_prompts(
            labels,
            maps.get("foreground"),
            count=self._training.prompts_per_tile,
            min_size=settings.min_size,
            points=points,
            negatives=settings.negatives,
            box_margin=settings.box_margin,
            rng=rng,
        )

    def _answer(
        self, prompts: list[Prompt], basins: NDArray[np.int32], features: Tensor, logits: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Ask SAM; with a single point, all four of its masks, otherwise only the first."""
        side = image_size(self.sam)
        embedding = Embedding(features[None], (side, side), (side, side))
        soft = None
        if prompts[0].mask is not None:
            foreground = logits[self.generator.channels.index("foreground")]
            if not self._training.soft_mask:
                foreground = foreground.detach()
            soft = soft_mask_prompts(prompts, basins, foreground)
        sparse, dense = embed_prompts(self.sam, prompts, embedding, mask_logits=soft)
        answer, predicted_iou = self.sam.mask_decoder.predict_masks(
            image_embeddings=embedding.features,
            image_pe=dense_position(self.sam),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
        )
        ambiguous = len(prompts[0].points) == 1 and prompts[0].box is None and prompts[0].mask is None
        kept = slice(None) if ambiguous else slice(0, 1)
        return answer[:, kept].float(), predicted_iou[:, kept].float()


def by_number_of_points(prompts: list[Prompt]) -> list[list[int]]:
    """Group prompts that SAM can answer in one batch; small objects have fewer points."""
    groups: dict[int, list[int]] = {}
    for index, prompt in enumerate(prompts):
        groups.setdefault(len(prompt.points), []).append(index)
    return [groups[number] for number in sorted(groups)]


def soft_mask_prompts(prompts: list[Prompt], basins: NDArray[np.int32], foreground: Tensor) -> Tensor:
    """Draw the mask prompts of a tile from logits that carry a gradient.

    Equal to `models.sam.render_mask_prompt` of the same prompts.

    Parameters
    ----------
    prompts : list of Prompt
        Each with a mask, which says where its crop lies.
    basins : ndarray of int32, shape (S, S)
    foreground : Tensor, shape (S, S)
        The generator's foreground logits.

    Returns
    -------
    Tensor, shape (n, 1, S / 4, S / 4)
    """
    own = np.zeros((len(prompts), *basins.shape), dtype=bool)
    for index, prompt in enumerate(prompts):
        if prompt.mask is None:
            raise ValueError(f"prompt {index} has no mask")
        height, width = prompt.mask.logits.shape
        crop = (
            slice(prompt.mask.row, prompt.mask.row + height),
            slice(prompt.mask.col, prompt.mask.col + width),
        )
        own[index][crop] = (basins[crop] == prompt.basin) | (basins[crop] == 0)
    inside = torch.from_numpy(own).to(foreground.device)
    masks = torch.where(inside, foreground.clamp(ABSENT, -ABSENT), ABSENT)
    return nn.functional.avg_pool2d(masks[:, None], LOW_RES_STRIDE)


def tile_losses(
    answer: Tensor, predicted_iou: Tensor, target: Tensor, matched: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Compare SAM's answers in one tile with their objects.

    The first mask always learns; of the three alternatives (where there are any) the best one does, so that each
    can specialise (Kirillov et al., "Segment Anything", ICCV 2023, section 3). The IoU head learns the IoU of
    every mask, which is 0 for a prompt without an object.

    Parameters
    ----------
    answer : Tensor, shape (n, m, h, w)
        Mask logits; m is 1 or 4.
    predicted_iou : Tensor, shape (n, m)
    target : Tensor, shape (n, 1, h, w)
    matched : Tensor of bool, shape (n,)

    Returns
    -------
    mask_loss : Tensor, shape (matched,)
    iou_loss : Tensor, shape (n,)
    iou : Tensor, shape (matched,)
        IoU of the first mask.
    """
    losses = mask_bce_dice(answer, target.expand_as(answer))
    loss = losses[:, 0]
    if losses.shape[1] > 1:
        loss = loss + losses[:, 1:].amin(dim=1)
    true_iou = mask_iou(answer, target) * matched[:, None]
    iou_loss = (predicted_iou - true_iou).square().mean(dim=1)
    return loss[matched], iou_loss, true_iou[matched, 0]
