"""Where the time of `autosam train DATA --config RECIPE` goes: seconds of each part, by step and in all.

A part's seconds are its own, and tiles are made in turn with the rest. The backward pass is divided where the
gradients of SAM's embedding and of the generator's logits are known. Without DATA, two made-up images are learnt.

    python scripts/bench_training.py --threads 1 --json training.json
    python scripts/bench_training.py DATA --steps 80 --set training.batch_size=2
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bench_images import nuclei
from bench_timing import machine, versions, write_json

ONCE = ("start and files", "validation", "statistics")
"""What does not belong to a step."""


class Stopwatch:
    """Charge every second to the innermost open part; within one that is opened whole there are no others."""

    def __init__(self, clock: Callable[[], float], *, first: str) -> None:
        self.seconds: dict[str, float] = {}
        self._clock, self._since, self._open, self._whole = clock, clock(), [first], False

    def charge(self, then: str | None = None) -> None:
        """Charge the time since the last charge; ``then`` goes on in the place of the innermost part."""
        now, name = self._clock(), self._open[-1]
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since, self._open[-1] = now, then or name

    @contextmanager
    def part(self, name: str, *, whole: bool) -> Iterator[None]:
        before = self._whole
        self.charge()
        self._open.append(self._open[-1] if before else name)
        self._whole = before or whole
        yield
        self.charge()
        self._open.pop()
        self._whole = before

    def timed(self, call: Callable[..., Any], name: str, whole: bool, then: str | None) -> Callable[..., Any]:
        """Make a call a part; once the gradient of its answer is known, the backward pass goes on as ``then``."""

        def timed(*given: Any, **named: Any) -> Any:
            with self.part(name, whole=whole):
                answer = call(*given, **named)
            first = answer[0] if isinstance(answer, tuple) else answer
            if then is not None and getattr(first, "requires_grad", False):
                first.register_hook(lambda _: self.charge(then))
            return answer

        return timed


@contextmanager
def watched(stopwatch: Stopwatch) -> Iterator[None]:
    """Let the parts of a run be timed."""
    from lightning.fabric import Fabric

    from autosam.models.generator.sam_unet import SamGenerator
    from autosam.models.generator.unet import Generator
    from autosam.training import joint, loop
    from autosam.training.samples.tiles import TileDataset

    parts: dict[tuple[Any, str], tuple[str, str | None]] = {
        (loop, "take_step"): ("optimizer and the rest", None),
        (Fabric, "backward"): ("decoder backward", None),
        (TileDataset, "__getitem__"): ("augmentation", None),
        (Generator, "forward"): ("generator", "generator backward"),
        (SamGenerator, "forward"): ("generator", "generator backward"),
        (joint, "encode_tokens"): ("encoder", "encoder backward"),
        (joint.JointModel, "_generator_loss"): ("generator's loss", None),
        (joint.JointModel, "_prompt_sets"): ("prompts", None),
        (joint.JointModel, "_learn"): ("decoder", None),
        (loop, "validate"): ("validation", None),
        (loop, "_complete"): ("statistics", None),
    }
    with ExitStack() as stack:
        for (owner, attribute), (name, then) in parts.items():
            whole, call = attribute not in ("take_step", "backward"), getattr(owner, attribute)
            stack.enter_context(patch.object(owner, attribute, stopwatch.timed(call, name, whole, then)))
        yield


def measure(options: argparse.Namespace, out: Path) -> dict[str, float]:
    """Train, and give the seconds of each part by name."""
    stopwatch = Stopwatch(time.process_time if options.cpu_seconds else time.perf_counter, first="start and files")
    import torch

    from autosam.config import load_config
    from autosam.data import LabeledImage
    from autosam.training.loop import train
    from autosam.training.samples.load_images import load_part

    torch.set_num_threads(options.threads)
    own = [f"training.steps={options.steps}", "training.workers=0"]
    config = load_config(options.recipe, overrides=options.set + own)
    drawn = (nuclei(options.side, (options.side // 48) ** 2, seed=seed) for seed in range(3))
    images = [LabeledImage("made", "made", image[..., None].repeat(3, 2), labels) for image, labels in drawn]
    learnt, scored = images[:2], images[2:]
    if options.data is not None:
        learnt, scored = (load_part(options.data, config, part) for part in ("train", "val"))
    with watched(stopwatch):
        train(config, learnt, scored, out=out)
    stopwatch.charge()
    return stopwatch.seconds


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="a folder or store, as autosam train takes it")
    parser.add_argument("--recipe", default="joint", help="a recipe or a YAML file (default: joint)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the run")
    parser.add_argument("--steps", type=int, default=80, help="of the optimizer (default: 80)")
    parser.add_argument("--side", type=int, default=768, help="of the made-up images (default: 768)")
    parser.add_argument("--threads", type=int, default=2, help="of torch (default: 2)")
    parser.add_argument("--cpu-seconds", action="store_true", help="count CPU seconds, for a busy machine")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    options = parser.parse_args(arguments)

    with tempfile.TemporaryDirectory() as folder:
        seconds = measure(options, Path(folder) / "run")
    total, steps = sum(seconds.values()), sum(taken for name, taken in seconds.items() if name not in ONCE)
    each = steps / options.steps
    print(
        f"{options.steps} steps of {options.recipe}, {options.threads} threads: {total:.1f} s, {each:.3f} s a step"
    )
    for name, taken in sorted(seconds.items(), key=lambda item: -item[1]):
        part = "" if name in ONCE else f"{taken / options.steps:.3f} s a step"
        print(f"{name:<24}{taken:>9.2f} s{taken / total:>8.1%}{part:>16}")
    if options.json is not None:
        record = {"settings": {name: str(value) for name, value in vars(options).items()}}
        record |= {"machine": machine(options.threads), "versions": versions(("autosam", "torch", "lightning"))}
        write_json(options.json, record | {"seconds": seconds, "total": total, "step": each})
    return 0


if __name__ == "__main__":
    sys.exit(main())
