"""Base weights of SAM: published ones, or the SAM of a model that autosam trained."""

import warnings
from pathlib import Path

from torch import Tensor

from autosam.config import ModelConfig, make_model
from autosam.errors import AutosamWarning, ModelError
from autosam.models.files.checkpoint import is_model, load_model, read_header, split_parts
from autosam.models.files.file_hash import check_sha256
from autosam.models.files.zoo import BASES, BUNDLED, base_weights, home, resolve_model
from autosam.models.weights import load_state_dict_file


def find_base(base: str, *, beside: Path | None = None) -> Path:
    """Find base weights: published or bundled ones by name, otherwise a file.

    Parameters
    ----------
    base : str
        A name in `zoo.BASES` or `zoo.BUNDLED`, or a path.
    beside : Path, optional
        A model file that the base may have moved with.

    Raises
    ------
    ModelError
        If there is no such file; the message lists the paths and names.
    """
    if base in BASES:
        return base_weights(base)
    if base in BUNDLED:
        return resolve_model(base)
    folders = [home()] if beside is None else [beside.parent, home()]
    paths = list(dict.fromkeys([Path(base), *(folder / Path(base).name for folder in folders)]))
    for path in paths:
        if path.is_file():
            return path
    raise ModelError(
        f"the base weights {base} are not at {' or '.join(map(str, paths))}, and no published weights or bundled "
        f"model have that name ({', '.join((*BASES, *BUNDLED))}); put the file at one of these paths"
    )


def base_state(path: Path, *, sha256: str | None = None) -> dict[str, Tensor]:
    """Read a SAM's weights from a published file or a model of autosam's own, in float32.

    Their names are those of the segment-anything package.

    Raises
    ------
    ModelError
        As `load_state_dict_file`, and if it is a model without a whole SAM in it.
    """
    if sha256 is not None:
        check_sha256(path, sha256)
    if is_model(path):
        parts = split_parts(load_model(path)[0])
        if "sam" not in parts:
            raise ModelError(
                f"{path} is a model without a whole SAM in it ({', '.join(sorted(parts))}), so it cannot be a "
                "base; give the base that it was trained on"
            )
        state = parts["sam"]
    else:
        state = load_state_dict_file(path)
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}


def with_preprocessing(model: ModelConfig) -> ModelConfig:
    """Settle ``model.sam.preprocessing`` where the settings leave it to the base weights.

    A model of autosam's own says what its SAM wants, and the table of published weights what they want. A file of
    MedSAM is known by its name.

    Raises
    ------
    ModelError
        As `find_base`.

    Warns
    -----
    AutosamWarning
        If a file was taken for MedSAM.
    """
    if model.sam is None or model.sam.preprocessing is not None:
        return model
    base, preprocessing = model.sam.base, "sam"
    if base in BASES:
        preprocessing = BASES[base].preprocessing
    elif base is not None:
        path = find_base(base)
        if is_model(path):
            theirs = make_model(read_header(path).settings).sam
            preprocessing = (theirs and theirs.preprocessing) or "sam"
        elif path.stem.lower().startswith("medsam"):
            preprocessing = "unit"
            warnings.warn(
                f"{path} is taken for MedSAM, whose encoder gets pixels of 0 to 1 "
                "(model.sam.preprocessing=unit; set it to sam if that is wrong)",
                AutosamWarning,
                stacklevel=2,
            )
    return model.model_copy(update={"sam": model.sam.model_copy(update={"preprocessing": preprocessing})})
