"""An encoder in stages, each of which halves the size: what ResNets and EfficientNets have in common."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class StagedEncoder(nn.Module):
    """The image and the outputs of the first stages of a network.

    A subclass sets ``out_channels``, and says which layers a stage has and how they are run.

    Attributes
    ----------
    out_channels : tuple of int
        Channels of each output, those of the image first.
    frozen : int
        Stages from the image on that are not trained, see `freeze`.
    left_out : tuple of str
        How names of tensors begin that ``segmentation_models_pytorch`` keeps, and no output needs.
    """

    out_channels: tuple[int, ...]
    frozen: int = 0
    left_out: tuple[str, ...] = ()

    def stage_layers(self, number: int) -> Sequence[nn.Module]:
        """Give the layers of a stage; the first has number 1 and stride 2, the next one stride 4."""
        raise NotImplementedError

    def run_stage(self, number: int, x: Tensor) -> Tensor:
        """Turn the output of the stage before, or the image, into that of stage ``number``."""
        raise NotImplementedError

    def freeze(self, stages: int) -> None:
        """Take the first stages out of training.

        They need no gradients, so that they run as fast as at inference where their normalization is in evaluation
        mode.

        Parameters
        ----------
        stages : int
            0 to the depth.
        """
        self.frozen = stages
        for number in range(1, stages + 1):
            for layer in self.stage_layers(number):
                layer.requires_grad_(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Give the image (B, 3, H, W) and features of stride 2, 4, 8 ..."""
        features = [image]
        for number in range(1, len(self.out_channels)):
            if number <= self.frozen:
                with torch.no_grad():
                    features.append(self.run_stage(number, features[-1]))
            else:
                features.append(self.run_stage(number, features[-1]))
        return features
