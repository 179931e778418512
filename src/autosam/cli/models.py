"""`autosam models`: which models there are, fetching published weights, and looking into a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from autosam.cli.console import result, say, table
from autosam.cli.usage import FOR_ALL, Command, group
from autosam.cli.words import file_size

if TYPE_CHECKING:
    from rich.table import Table
    from torch import Tensor

Preprocessing = Literal["sam", "unit"]

models = group("List, fetch and look into models.")


@models.command("list", cls=Command, epilog=FOR_ALL)
def list_models() -> None:
    """List the bundled models and the published weights."""
    from autosam.models.files.zoo import BASES, BUNDLED, cached_path, home

    shown = table("name", "kind", "size", "license", "present", left=("kind", "license", "present"))
    for model in BUNDLED.values():
        shown.add_row(model.name, "model", _on_disk(model.path), model.license, _yes(model.path.is_file()))
    for base in BASES.values():
        path = cached_path(base.name)
        size = file_size(base.size) if base.size else _on_disk(path)
        shown.add_row(base.name, "base", size, base.license, _yes(path.is_file()))
    result(shown)
    say(f"Fetched files are in {home()}.")


@models.command(cls=Command, epilog=FOR_ALL)
def fetch(
    name: str = typer.Argument(
        ..., metavar="NAME", help="Name of the published weights, such as vit_b: `autosam models list` has them."
    ),
    offline: bool = typer.Option(False, "--offline", help="Download nothing; tell where to put the file by hand."),
) -> None:
    """Download published weights and check their hash."""
    from autosam.models.files import zoo

    result(f"{name} is at {zoo.fetch(name, offline=offline)}")


@models.command(cls=Command, epilog=FOR_ALL)
def combine(
    generator: str = typer.Argument(..., metavar="NAME|FILE", help="A model whose generator finds the objects."),
    sam: str = typer.Option(
        ...,
        "--sam",
        metavar="NAME|FILE",
        help="SAM that answers its prompts: published weights, a model or a file.",
    ),
    out: Path = typer.Option(
        ..., "--output", "--out", "-o", metavar="FILE", help="The new model, .safetensors; its card is beside it."
    ),
    preprocessing: Preprocessing | None = typer.Option(
        None,
        metavar="sam|unit",
        help="Pixels that SAM's encoder gets: by SAM's mean and deviation, or 0 to 1 as MedSAM. [what the weights "
        "are known to want]",
    ),
) -> None:
    """Join the generator of a model with any SAM, without training."""
    from autosam.errors import ConfigError

    if out.suffix != ".safetensors" or not out.absolute().parent.is_dir():
        raise ConfigError(f"--output {out}: wanted a file that ends in .safetensors, in a folder that exists")
    from autosam.images.overwriting import refuse_overwriting
    from autosam.models.files.join_models import join_models

    refuse_overwriting(out, (generator, sam))

    header = join_models(generator, sam, out, preprocessing=preprocessing)
    result(f"{out} joins the generator of {generator} with the SAM of {sam}; its card is {out.with_suffix('.md')}")
    say(f"License: {header.license}.")


@models.command(cls=Command, epilog=FOR_ALL)
def show(
    model: str = typer.Argument(..., metavar="NAME|FILE", help="A model or weights, by name or path."),
) -> None:
    """Show what is in a model or a weight file."""
    from autosam.models.files.file_hash import file_sha256
    from autosam.models.files.zoo import BASES, base_weights, resolve_model

    path = base_weights(model) if model in BASES else resolve_model(model)
    lines = [f"file      {path}", f"size      {_on_disk(path)}", f"sha256    {file_sha256(path)}"]
    described = _weights if model in BASES or path.suffix in (".pth", ".pt", ".ckpt", ".bin") else _model
    more, tensors = described(path)
    result("\n".join([*lines, *more, ""]), _parts(tensors))
    card = path.with_suffix(".md")
    if card.is_file():
        result(f"\nmodel card {card}\n\n{card.read_text(encoding='utf-8').rstrip()}")


def _model(path: Path) -> "tuple[list[str], Mapping[str, Tensor]]":
    import yaml

    from autosam.models.files.checkpoint import load_model

    tensors, header = load_model(path)
    base = (
        f"{header.base_name} (sha256 {header.base_sha256})"
        if header.base_name
        else "none: everything is in this file"
    )
    lines = [
        f"format    {header.format_version}",
        f"license   {header.license or 'not stated'}",
        f"base      {base}",
    ]
    for title, values in (("settings", header.settings), ("training", header.training)):
        if values:
            # As a config says it; a row of numbers stays a line.
            shown = yaml.safe_dump(values, default_flow_style=None, sort_keys=False, width=110)
            lines += ["", title, shown.rstrip()]
    return lines, tensors


def _weights(path: Path) -> "tuple[list[str], Mapping[str, Tensor]]":
    from autosam.models.weights import detect_variant, load_state_dict_file

    tensors = load_state_dict_file(path)
    return [f"variant   {detect_variant(tensors) or 'not a SAM that autosam knows'}"], tensors


def _parts(tensors: "Mapping[str, Tensor]") -> "Table":
    from autosam.models.parameters import part_of

    parts: dict[str, tuple[int, int]] = {}
    for name, tensor in tensors.items():
        part = part_of(name.removeprefix("sam."))
        count, values = parts.get(part, (0, 0))
        parts[part] = (count + 1, values + tensor.numel())
    parts["all"] = len(tensors), sum(values for _, values in parts.values())
    shown = table("part", "tensors", "values")
    for part, numbers in parts.items():
        shown.add_row(part, *(f"{number:,}" for number in numbers))
    return shown


def _on_disk(path: Path) -> str:
    return file_size(path.stat().st_size) if path.is_file() else "?"


def _yes(present: bool) -> str:
    return "yes" if present else "no"
