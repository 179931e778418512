"""Measure ``autosam volume``: how good, how much memory, how fast on two workers, and whether anything changes it.

Each command runs alone and writes JSON with ``--json FILE``:

    python scripts/bench_volume.py accuracy --data DATA     # epfl, vnc and cardona in 3D, beside stitching
    python scripts/bench_volume.py memory --data DATA       # peak for 20 and for 500 slices
    python scripts/bench_volume.py workers --data DATA      # 2 workers against 1
    python scripts/bench_volume.py slide                    # a slide of 20,000 x 20,000 with 100,000 nuclei
    python scripts/bench_volume.py blocks --data DATA       # 20 random slabs, tiles and numbers of workers
    python scripts/bench_volume.py kill --data DATA         # SIGKILL at 100 random moments

``--data`` is a folder with epfl/, vnc/ and cardona/, whose files `STACKS` in volume_accuracy.py names. All but
``accuracy`` and ``slide`` take the first slices of epfl, cut to ``--side``. The runs are processes of their own,
of one thread each.
"""

import argparse
import json
import platform
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.io import imread
from volume_accuracy import STACKS, accuracy
from volume_robustness import blocks, kill, memory, workers
from volume_slide import slide

from autosam import __version__

SMALL_WINDOWS = ("volume.window=128", "volume.overlap=32")
"""So that a small volume has several tiles."""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, model: str, side: int, depth: int) -> argparse.ArgumentParser:
        made = commands.add_parser(name)
        made.add_argument("--model", default=model)
        made.add_argument("--set", dest="sets", action="append", default=[], metavar="SETTING=VALUE")
        made.add_argument("--json", type=Path)
        made.add_argument("--work", type=Path, help="folder for what the runs leave; a temporary one by default")
        if name != "slide":
            made.add_argument("--data", type=Path, required=True)
        if side:
            made.add_argument("--side", type=int, default=side, help="cut slices to this many rows and columns")
        if depth:
            made.add_argument("--depth", type=int, default=depth, help="slices")
        return made

    add("accuracy", "mito", 0, 0).add_argument("--stacks", nargs="+", default=list(STACKS), choices=list(STACKS))
    add("memory", "mito", 1024, 0).add_argument("--depths", type=int, nargs="+", default=[20, 500])
    add("workers", "mito", 768, 16).add_argument("--repeats", type=int, default=3)
    large = add("slide", "nuclei", 20_000, 0)
    large.add_argument("--count", type=int, default=100_000)
    large.add_argument("--workers", type=int, default=1)
    for name in ("blocks", "kill"):
        made = add(name, "mito", 320, 10)
        made.add_argument("--count", type=int, default=20 if name == "blocks" else 100)
        made.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def epfl(data: Path, side: int, depth: int) -> NDArray[Any]:
    """Read the first slices of epfl, again from the first where there are not enough, and cut them."""
    names = STACKS["epfl"].names
    return np.stack(
        [imread(data / "epfl" / "raw" / f"{names[z % len(names)]}.png")[:side, :side] for z in range(depth)]
    )


def measure(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    chosen = {"model": options.model, "sets": options.sets}
    if options.command == "accuracy":
        return accuracy(options.data, options.stacks, work, **chosen)
    if options.command == "slide":
        sets = ["decode.sam=false", *options.sets]
        return slide(
            work,
            side=options.side,
            count=options.count,
            model=options.model,
            sets=sets,
            workers=options.workers,
        )
    if options.command == "memory":
        return memory(epfl(options.data, options.side, 20), work, options.depths, **chosen)
    given = epfl(options.data, options.side, options.depth)
    if options.command == "workers":
        # A task for each worker at least.
        chosen["sets"] = ["volume.slab=2", *options.sets]
        return workers(given, work, repeats=options.repeats, **chosen)
    chosen["sets"] = [*SMALL_WINDOWS, *options.sets]
    if options.command == "blocks":
        return blocks(given, work, count=options.count, seed=options.seed, **chosen)
    chosen["sets"] = ["volume.slab=2", "volume.tile=128", *chosen["sets"]]
    return kill(given, work, count=options.count, seed=options.seed, shared=2, **chosen)


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        found = measure(options, work)
    about = {
        "autosam": __version__,
        "machine": platform.processor() or platform.machine(),
        "command": options.command,
    }
    document = {**about, "model": options.model, "settings": options.sets, **found}
    text = json.dumps(document, indent=1)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
