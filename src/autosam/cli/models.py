"""`autosam models`: which models there are, fetching published weights, and looking into a file."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from torch import Tensor

models = typer.Typer(help="List, fetch and look into models.", no_args_is_help=True)


@models.command("list")
def list_models() -> None:
    """List the bundled models and the published weights."""
    from autosam.models.files.zoo import BASES, BUNDLED, cached_path, home

    rows = []
    for model in BUNDLED.values():
        rows.append((model.name, "model", _on_disk(model.path), model.license, _yes(model.path.is_file())))
    for base in BASES.values():
        path = cached_path(base.name)
        size = _readable(base.size) if base.size else _on_disk(path)
        rows.append((base.name, "base", size, base.license, _yes(path.is_file())))
    _table(("name", "kind", "size", "license", "present"), rows)
    typer.echo(f"Fetched files lie in {home()}.")


@models.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Published weights: vit_b, vit_l or vit_h.")],
    offline: Annotated[
        bool, typer.Option("--offline", help="Download nothing; say where to put the file by hand.")
    ] = False,
) -> None:
    """Download published weights and check their hash."""
    from autosam.models.files import zoo

    typer.echo(f"{name} is at {zoo.fetch(name, offline=offline)}")


@models.command()
def show(
    model: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A model or weights, by name or path.")],
) -> None:
    """Say what is in a model or a weight file."""
    from autosam.models.files.sam_weights import file_sha256
    from autosam.models.files.zoo import BASES, base_weights, resolve_model

    path = base_weights(model) if model in BASES else resolve_model(model)
    lines = [f"file      {path}", f"size      {_on_disk(path)}", f"sha256    {file_sha256(path)}"]
    described = _weights if model in BASES or path.suffix in (".pth", ".pt") else _model
    more, tensors = described(path)
    typer.echo("\n".join([*lines, *more, ""]))
    _parts(tensors)
    card = path.with_suffix(".md")
    if card.is_file():
        typer.echo(f"\nmodel card {card}\n\n{card.read_text(encoding='utf-8').rstrip()}")


def _model(path: Path) -> "tuple[list[str], Mapping[str, Tensor]]":
    import yaml

    from autosam.models.files.checkpoint import load_model

    tensors, header = load_model(path)
    base = f"{header.base_name} (sha256 {header.base_sha256})" if header.base_name else "none: it is all in here"
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
    from autosam.models.files.sam_weights import detect_variant, load_state_dict_file

    tensors = load_state_dict_file(path)
    return [f"variant   {detect_variant(tensors) or 'not a SAM that autosam knows'}"], tensors


def _parts(tensors: "Mapping[str, Tensor]") -> None:
    from autosam.models.parameters import part_of

    parts: dict[str, tuple[int, int]] = {}
    for name, tensor in tensors.items():
        part = part_of(name.removeprefix("sam."))
        count, values = parts.get(part, (0, 0))
        parts[part] = (count + 1, values + tensor.numel())
    rows = [(part, f"{count:,}", f"{values:,}") for part, (count, values) in parts.items()]
    total = sum(values for _, values in parts.values())
    _table(("part", "tensors", "values"), [*rows, ("all", f"{len(tensors):,}", f"{total:,}")])


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _on_disk(path: Path) -> str:
    return _readable(path.stat().st_size) if path.is_file() else "?"


def _readable(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"


def _yes(present: bool) -> str:
    return "yes" if present else "no"
