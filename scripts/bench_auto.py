"""autosam beside the automatic masks of segment-anything: seconds, peak memory and objects of one image.

Both use the very same Sam object, in one process, on the same image and one after the other:

* ``autosam float32``: `Segmenter.segment`, which is what `autosam segment` does with an image between reading and
  writing it: normalize, generator, prompts, SAM in tiles of its own input size, merge.
* ``autosam``: the same with the precision that the model's settings ask for (bfloat16 where the hardware has it).
* ``SamAutomaticMaskGenerator``: 32 × 32 single points, three masks each, in float32 and with all settings as the
  package has them, on the normalized image; normalizing is not counted. It sees the whole image at once, scaled
  down to SAM's input size, and so it encodes less than autosam does.

Seconds are the median of the repeats, after a warm-up that is not counted. The peak is measured apart, with each
of the three in a process of its own that runs it once: it is the highest resident set of the process's life
(``ru_maxrss``), less the resident set when the model was loaded and the warm-up, which brings in every library,
was over. On a GPU the peak of torch's own allocations there is given, too, the model's weights included.

    python scripts/bench_auto.py --image examples/vnc_12.png --threads 2 --json auto.json
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

SPEED_UP = 5.0
"""How many times faster than the grid of points autosam has to be."""

METHODS = ("autosam float32", "autosam", "SamAutomaticMaskGenerator")
MAXRSS_GB = 1e9 / (1 if sys.platform == "darwin" else 1024)
"""Units of ru_maxrss in a gigabyte: bytes on macOS, KiB elsewhere."""


def prepare(method: str, segmenter: Any, *, side: int = 32) -> Callable[[NDArray[Any]], int]:
    """Give a function that finds the objects of an image as `image_for` brings it, and counts them."""
    from segment_anything import SamAutomaticMaskGenerator

    from autosam import Segmenter

    if method == "SamAutomaticMaskGenerator":
        automatic = SamAutomaticMaskGenerator(segmenter.networks.sam, points_per_side=side)
        return lambda image: len(automatic.generate(image))
    config = segmenter.config
    if method == "autosam float32":
        decode = config.decode.model_copy(update={"precision": "float32"})
        config = config.model_copy(update={"decode": decode})
    ready = Segmenter(segmenter.networks, config)
    return lambda image: int(ready.segment(image).labels.max())


def image_for(method: str, image: NDArray[Any], segmenter: Any) -> NDArray[Any]:
    """Give the file's own pixels to autosam, and normalized 8-bit RGB to the package, which takes nothing else."""
    from autosam.images import normalize, to_uint8

    if method != "SamAutomaticMaskGenerator":
        return image
    settings = segmenter.config.images
    return to_uint8(normalize(image, settings))


def load(options: argparse.Namespace) -> tuple[Any, NDArray[Any]]:
    import torch

    from autosam import Segmenter, read_image

    torch.set_num_threads(options.threads)
    image = read_image(options.image)
    if options.crop:
        image = image[: options.crop, : options.crop]
    return Segmenter.from_model(options.model, device=options.device), image


def finish(device: str) -> None:
    """Wait for the GPU, which works on while Python goes on."""
    import torch

    if torch.cuda.is_available() and device != "cpu":
        torch.cuda.synchronize()


def measure_seconds(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Time all methods, one after the other, with the same networks."""
    segmenter, image = load(options)
    figures: dict[str, dict[str, Any]] = {}
    for method in METHODS:
        run, pixels = prepare(method, segmenter), image_for(method, image, segmenter)
        automatic = method == "SamAutomaticMaskGenerator"
        prepare(method, segmenter, side=4)(pixels)
        seconds, objects = [], 0
        for _ in range(options.automatic_repeats if automatic else options.repeats):
            finish(options.device)
            started = time.perf_counter()
            objects = run(pixels)
            finish(options.device)
            seconds.append(time.perf_counter() - started)
        figures[method] = {"seconds": statistics.median(seconds), "runs": seconds, "objects": objects}
    return figures


def measure_memory(options: argparse.Namespace, method: str) -> dict[str, float]:
    """Run one method once, in a process that has done nothing else."""
    import torch

    segmenter, image = load(options)
    run, pixels = prepare(method, segmenter), image_for(method, image, segmenter)
    prepare(method, segmenter, side=2)(pixels[:64, :64])
    on_gpu = torch.cuda.is_available() and options.device != "cpu"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    before = resident_gb()
    run(pixels)
    figures = {"peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MAXRSS_GB - before}
    if on_gpu:
        figures["gpu_peak_gb"] = torch.cuda.max_memory_allocated() / 1e9
    return figures


def resident_gb() -> float:
    """Resident set of this process now, in GB; its peak where the system does not tell."""
    table = Path("/proc/self/statm")
    if table.exists():
        return int(table.read_text().split()[1]) * resource.getpagesize() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MAXRSS_GB


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    examples = Path(__file__).parents[1] / "examples"
    parser.add_argument("--image", type=Path, default=examples / "vnc_12.png", help="default: the VNC slice")
    parser.add_argument("--crop", type=int, default=0, help="only the first so many rows and columns")
    parser.add_argument("--model", default="mito", help="name of a bundled model, or a file (default: mito)")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda, ... (default: cpu)")
    parser.add_argument("--threads", type=int, default=2, help="of torch (default: 2)")
    parser.add_argument("--repeats", type=int, default=5, help="of autosam (default: 5)")
    parser.add_argument("--automatic-repeats", type=int, default=1, help="of the package's (default: 1)")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    options = parser.parse_args(arguments)

    # Each in a process of its own, spawned: a fork would begin with its parent's memory.
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(1) as pool:
        figures = pool.apply(measure_seconds, (options,))
    for method in METHODS:
        with spawn.Pool(1) as pool:
            figures[method] |= pool.apply(measure_memory, (options, method))

    slow = figures["SamAutomaticMaskGenerator"]["seconds"]
    print(f"{options.image.name}, model {options.model}, device {options.device}, {options.threads} threads")
    print(f"{'':<28}{'seconds':>9}{'faster':>9}{'peak GB':>9}{'objects':>9}")
    for method, row in figures.items():
        row["times_faster"] = slow / row["seconds"]
        print(
            f"{method:<28}{row['seconds']:>9.2f}{row['times_faster']:>8.1f}×{row['peak_gb']:>9.2f}{row['objects']:>9}"
        )
        if "gpu_peak_gb" in row:
            print(f"{'  on the GPU':<46}{row['gpu_peak_gb']:>9.2f}")
    if options.json is not None:
        record = {name: str(value) for name, value in vars(options).items()} | {"figures": figures}
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    fast = figures["autosam float32"]["times_faster"] >= SPEED_UP
    print(f"at least {SPEED_UP:g} × faster in float32: {'yes' if fast else 'NO'}")
    return 0 if fast else 1


if __name__ == "__main__":
    raise SystemExit(main())
