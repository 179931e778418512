"""What of a model is adapted, by how many objects there are to learn from."""

from typing import Literal, NamedTuple, get_args

from autosam.config import Config
from autosam.errors import ConfigError, InputError

Part = Literal["thresholds", "lora", "sam", "generator", "all"]
"""What is trained: nothing; SAM's encoder by LoRA; that and the mask decoder; the generator; the last two."""

Asked = Literal["auto"] | Part

WORDS: dict[Part, str] = {
    "thresholds": "thresholds alone",
    "lora": "LoRA in SAM's encoder",
    "sam": "SAM's mask decoder, and LoRA in its encoder",
    "generator": "the generator",
    "all": "the generator, SAM's mask decoder, and LoRA in its encoder",
}

LEAST = 2
"""Objects without which nothing is adapted: one to learn from, and one to validate on."""

FOR_SAM, FOR_GENERATOR = 4, 8
"""Objects to learn from without which SAM, or the generator beside it, stays as it is. A generator that finds
objects by itself is trained from the first number on, in which reviewed places without any object count, too."""


class Choice(NamedTuple):
    """What is trained, and why, for a line."""

    part: Part
    why: str


def choose_part(config: Config, objects: int, asked: Asked = "auto", *, empty: int = 0) -> Choice:
    """Choose what is trained.

    Parameters
    ----------
    config : Config
        The model's own settings.
    objects : int
        To learn from.
    asked : {"auto", "thresholds", "lora", "sam", "generator", "all"}
        What the user wants; auto goes by the number of objects.
    empty : int
        Reviewed places without any object, such as those of deleted ones: they teach a generator what is none.

    Raises
    ------
    ConfigError
        If the model lacks what is asked for.
    InputError
        If the objects are too few for a model without a generator.
    """
    asks_sam, generates = config.model.prompted and config.decode.sam is True, config.model.generator is not None
    if asked != "auto":
        _check_asked(config, asked)
        return Choice(asked, "as asked for")
    few = f"{objects} object{'s' * (objects != 1)} to learn from, fewer than"
    if not generates:
        if objects < FOR_SAM:
            raise InputError(f"{few} {FOR_SAM}, and a model without a generator has no thresholds: label more")
        return Choice("sam", "the model has no generator")
    if not asks_sam and objects + empty >= FOR_SAM:
        why = "has no SAM" if not config.model.prompted else "asks SAM about prompts of a user alone"
        return Choice("generator", f"the model {why}, and finds objects by the generator")
    if objects < FOR_SAM:
        return Choice("thresholds", f"{few} {FOR_SAM}")
    if objects < FOR_GENERATOR:
        return Choice("sam", f"{few} {FOR_GENERATOR}")
    return Choice("all", f"there are {objects} objects to learn from")


def asked_part(text: str) -> Asked:
    """Check what a user wants to be trained; a `ConfigError` if it is unknown."""
    found: Asked | None = next((known for known in ("auto", *get_args(Part)) if known == text), None)
    if found is None:
        raise ConfigError(f"--train {text} is unknown; choose one of auto, {', '.join(get_args(Part))}")
    return found


def check_objects(objects: int, images: int) -> None:
    """Raise an InputError for too few objects to learn anything from."""
    if objects == 0:
        raise InputError(
            f"the labels of {images} image{'s' * (images != 1)} have no object where they count, wanted at least "
            f"{LEAST}: label some"
        )
    if objects < LEAST:
        raise InputError(
            f"the labels have {objects} object where they count, wanted at least {LEAST}, one to check on: label "
            "more"
        )


def _check_asked(config: Config, asked: Part) -> None:
    lacks = []
    if asked in ("lora", "sam", "all") and not config.model.prompted:
        lacks.append("SAM")
    if asked in ("generator", "all") and config.model.generator is None:
        lacks.append("generator")
    if lacks:
        raise ConfigError(
            f"--train {asked} wants what the model lacks: {' and '.join(lacks)}; choose another part"
        )
    if asked == "thresholds" and config.prompts.method == "user":
        raise ConfigError(
            "--train thresholds fits what is found without a user, and prompts.method=user finds nothing by "
            "itself; choose lora or sam"
        )
