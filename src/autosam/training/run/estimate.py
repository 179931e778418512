"""What a training step will need, before a run is started."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, UntypedStorage
from torch.autograd.graph import saved_tensors_hooks

from autosam.config import Config
from autosam.data import LabeledImage
from autosam.models.networks import build_networks
from autosam.models.parameters import PartParameters
from autosam.models.precision import autocast, use_bfloat16
from autosam.training.joint import JointModel
from autosam.training.optimizer import make_optimizer, part_table
from autosam.training.samples.batches import check_trainable, tile_size
from autosam.training.samples.tiles import Tile, TileDataset, collate_tiles

OPTIMIZER_COPIES = 2
"""Adam and AdamW keep the first and the second moment of every gradient."""


@dataclass(frozen=True)
class Estimate:
    """Parameters and memory of a run, for one device; memory in bytes.

    Attributes
    ----------
    weights : int
        Parameters and buffers.
    average : int
        The averaged weights.
    gradients, optimizer : int
        Of what is trained.
    activations : int
        What the backward pass needs of the forward pass: counted for one tile and for two, and from there to
        ``training.batch_size``.
    """

    parts: list[PartParameters]
    weights: int
    average: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """Sum of the memory, in bytes. The frameworks' own needs come on top."""
        return self.weights + self.average + self.gradients + self.optimizer + self.activations


def estimate(config: Config, labeled_images: Sequence[LabeledImage], *, device: torch.device) -> Estimate:
    """Count parameters, and the memory of a training step, by running a tile or two forward.

    Parameters
    ----------
    labeled_images : sequence of LabeledImage
        Training labeled images; two tiles of them are used.
    device : torch.device
        Where the run is to take place: it decides on the precision. The tiles themselves are run on the CPU.

    Raises
    ------
    AutosamError
        As `loop.train` would.
    """
    check_trainable(config, labeled_images)
    settings = config.training
    networks = build_networks(config.model, seed=config.seed)
    model = JointModel(networks, prompts=config.prompts, training=settings)
    optimizer = make_optimizer(model, settings)
    # Tiles with objects: one without needs less.
    filled = config.model_copy(update={"training": settings.model_copy(update={"object_tiles": 1.0})})
    tiles = TileDataset(labeled_images, filled, size=tile_size(networks, config), length=2)
    # Of float16 only the width counts here, and a CPU has bfloat16 for that.
    half = settings.precision == "float16" or use_bfloat16(device, settings.precision)
    model.train()
    # Copies of the weights in 16 bits are kept too, once for the whole batch: only the difference grows with it.
    one, two = (_activations(model, [tiles[i] for i in range(n)], half=half, seed=config.seed) for n in (1, 2))
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    gradients = sum(parameter.nbytes for parameter in trained)
    weights = sum(tensor.nbytes for tensor in [*model.parameters(), *model.buffers()])
    return Estimate(
        parts=part_table(model),
        weights=weights,
        average=weights,
        gradients=gradients,
        optimizer=OPTIMIZER_COPIES * gradients,
        activations=one + max(0, two - one) * (settings.batch_size - 1),
    )


def _activations(model: JointModel, tiles: Sequence[Tile], *, half: bool, seed: int) -> int:
    """Count the bytes that a forward pass keeps for the backward pass, parameters not included."""
    batch = collate_tiles(tiles)
    own = {parameter.data_ptr() for parameter in model.parameters()}
    # Held, so that no address is used again by a later tensor: some of them go before the loss is there.
    kept: dict[int, UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    def give(tensor: Any) -> Any:
        return tensor

    with saved_tensors_hooks(keep, give), autocast(torch.device("cpu"), "bfloat16" if half else "float32"):
        loss = model(batch.images, batch.labels, user_prompts=batch.prompts, predicted_share=0.0, seed=(seed, 0))
    del loss
    return sum(storage.nbytes() for storage in kept.values())
