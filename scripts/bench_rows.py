"""The rows of the table that `bench_speed.py` measures, one function for each.

Small values are good in all of them.
A row is measured in processes of its own. What it is compared with runs right before or after it, with as many
threads, on the same machine.
"""

import statistics
import sys
import sysconfig
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from bench_harness import Bench, Row, SkippedError, busy_loops, ratio
from bench_images import EM_SLICE, REAL, nuclei
from bench_timing import seconds_of

TILE = 256
"""Side of the tiles of Cellpose-SAM, in pixels."""


def start(bench: Bench) -> Iterator[Row]:
    """A whole command on one small image, over the import of torch alone; both by turns."""
    from skimage.io import imsave

    program = str(Path(sysconfig.get_path("scripts")) / "autosam")
    images = {"mito": bench.em_crop(224), "nuclei": bench.save("nuclei_224.npy", nuclei(224, 49)[0])}
    for model, array in images.items():
        image, out = array.with_suffix(".png"), str(bench.folder / f"start_{model}")
        imsave(image, np.load(array), check_contrast=False)
        command = [program, "segment", str(image), "-o", out, "--model", model, "--device", "cpu", "--overwrite"]

        seconds: list[float] = []
        imports: list[float] = []
        for number in range(bench.repeats):
            first = number == 0
            seconds += seconds_of(partial(bench.run, command), 1, warm_up=first)
            imports += seconds_of(partial(bench.run, [sys.executable, "-c", "import torch"]), 1, warm_up=first)
        what = f"`autosam segment --model {model}` of one 224 × 224 image, over `python -c 'import torch'`"
        yield ratio(f"start_{model}", what, 1.6, min(seconds), "import torch", min(imports), bench.repeats)


def busy(bench: Bench) -> Iterator[Row]:
    """`mito` beside two busy loops, over an idle machine; medians, since it is the scatter that hurts."""
    (idle,) = bench.segment("mito", [EM_SLICE])
    with busy_loops(2):
        (beside,) = bench.segment("mito", [EM_SLICE])
    what = "`mito` on 1024 × 1024 beside two busy loops, over an idle machine"
    medians = statistics.median(beside["runs"]), statistics.median(idle["runs"])
    runs = {"runs": beside["runs"], "idle_runs": idle["runs"]}
    yield ratio("mito_busy", what, 2, medians[0], "an idle machine", medians[1], bench.repeats, **runs)


def em_crop(bench: Bench) -> Iterator[Row]:
    """`nuclei` on what is unlike nuclei: it must not be zoomed without bound."""
    crop, drawn = bench.segment("nuclei", [bench.em_crop(256), bench.draw_nuclei(256)])
    what = "`nuclei` on a 256 × 256 crop of an EM slice, over a 256 × 256 image of nuclei"
    counts = {"objects": crop["objects"], "peer_objects": drawn["objects"]}
    yield ratio(
        "nuclei_em_crop",
        what,
        3,
        min(crop["runs"]),
        "64 drawn nuclei",
        min(drawn["runs"]),
        bench.repeats,
        **counts,
    )


def nuclei_beside_peers(bench: Bench) -> Iterator[Row]:
    """`nuclei` over StarDist's network and over Cellpose-SAM's, by as many tiles as cover the image."""
    for side, wanted in ((256, 2), (1024, 3)):
        (drawn,) = bench.segment("nuclei", [bench.draw_nuclei(side)])
        seconds, size = min(drawn["runs"]), f"{side} × {side} with {(side // 32) ** 2:,} nuclei"
        star, tile = bench.peer("stardist"), bench.peer("cellpose")["cellpose tile"]
        whole = star[f"stardist {side} whole"]
        yield ratio(
            f"nuclei_{side}_stardist",
            f"`nuclei` on {size}, over StarDist's network",
            wanted,
            seconds,
            "StarDist's network",
            star[f"stardist {side} network"],
            bench.repeats,
            objects=drawn["objects"],
            stardist_whole_seconds=whole,
            over_stardist_whole=seconds / whole,
        )
        tiles = (side // TILE) ** 2
        yield ratio(
            f"nuclei_{side}_cellpose",
            f"`nuclei` on {size}, over Cellpose-SAM's network",
            1 / 25,
            seconds,
            f"Cellpose-SAM's network, {tiles} tiles" if tiles > 1 else "Cellpose-SAM's network, 1 tile",
            tiles * tile,
            bench.repeats,
            tile_seconds=tile,
        )


def real_images(bench: Bench) -> Iterator[Row]:
    """`nuclei` on 13 real images of four data sets."""
    if bench.data is None:
        raise SkippedError("needs --data FOLDER with dsb2018, dsb2018_extra, bbbc039 and monuseg")
    paths = [bench.data / name for name in REAL]
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise SkippedError(f"needs {missing[0]}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else ""))
    rows = bench.segment("nuclei", paths, repeats=2)
    for row in rows:
        row["seconds_per_megapixel"] = min(row["runs"]) / row["megapixels"]
    speeds = [row["seconds_per_megapixel"] for row in rows]
    what, images = f"`nuclei` on {len(rows)} real images, seconds a megapixel", {"images": rows}
    median = statistics.median(speeds)
    yield Row("nuclei_real_median", f"{what}: median", median, "s/MP", 2, repeats=2, details=images)
    yield Row("nuclei_real_largest", f"{what}: largest", max(speeds), "s/MP", 4, repeats=2)


def mito_beside_stardist(bench: Bench) -> Iterator[Row]:
    """`mito` on a whole EM slice, over StarDist's network on as many pixels."""
    peer = bench.peer("stardist")["stardist 1024 network"]
    for precision in ("float32", "bfloat16"):
        (row,) = bench.segment("mito", [EM_SLICE], f"decode.precision={precision}")
        what = f"`mito` on 1024 × 1024 with {row['objects']} objects in {precision}, over StarDist's network"
        name, seconds = f"mito_stardist_{precision}", min(row["runs"])
        yield ratio(name, what, 1.3, seconds, "StarDist's network", peer, bench.repeats, objects=row["objects"])


def automatic(bench: Bench) -> Iterator[Row]:
    """`mito` over segment-anything's grid of points with the same weights."""
    found = bench.script("bench_auto.py", "--image", str(EM_SLICE), "--threads", str(bench.threads))["figures"]
    peer = "SamAutomaticMaskGenerator"
    for method, name in (("autosam float32", "auto_float32"), ("autosam", "auto")):
        what = f"`mito` on 1024 × 1024, over {peer} with the same weights"
        what += ", both in float32" if method != "autosam" else ""
        seconds, slow = found[method]["seconds"], found[peer]["seconds"]
        yield ratio(name, what, 1 / 20, seconds, peer, slow, 5, objects=found[method]["objects"])


def memory(bench: Bench) -> Iterator[Row]:
    """Peak memory of a large image, beyond the loaded model."""
    found = bench.script("bench_memory.py", "--synthetic", "--threads", str(bench.threads))
    what = f"peak memory beyond the model, 4096 × 4096 with {found['drawn']:,} objects"
    yield Row("memory_4096", what, 1000 * found["beyond_model_gb"], "MB", 300, found["seconds"], details=found)


def encoder(bench: Bench) -> Iterator[Row]:
    """A ViT-B of random weights: a whole image with 20 boxes, over the encoder alone."""
    found = bench.script("bench_encoder.py", "--threads", str(bench.threads))
    seconds = found["seconds"]
    for name, peer in (("package's encoder", "segment-anything's encoder"), ("encoder", "autosam's own encoder")):
        what = f"ViT-B, random weights, 20 objects in 1024 × 1024: the whole image, over {peer}"
        own = f"vit_b_over_{'package' if name != 'encoder' else 'own'}_encoder"
        yield ratio(own, what, 1.15, seconds["image"], peer, seconds[name], 3)


def decoder(bench: Bench) -> Iterator[Row]:
    """A ViT-B of random weights: 500 box prompts, over segment-anything's predictor in batches of 64."""
    peer = "SamPredictor.predict_torch"
    for precision in ("float32", "bfloat16"):
        options = ("--precision", precision, "--threads", str(bench.threads), "--repeats", "2")
        figures = bench.script("bench_decoder.py", *options)["figures"]
        seconds = {way: row["seconds"] for way, row in figures.items()}
        slow = seconds.pop("SamPredictor")
        for way, taken in seconds.items():
            wanted = None if way == "whole" else 1 / 8
            where = "with the whole embedding" if way == "whole" else f"`decode.{way.replace(' ', '=')}`"
            what = f"ViT-B, random weights, 500 box prompts in {precision}, {where}, over `{peer}`"
            yield ratio(f"decoder_{way.replace(' ', '_')}_{precision}", what, wanted, taken, peer, slow, 2)


def objects(bench: Bench) -> Iterator[Row]:
    """300,000 objects in 20,000 × 20,000 pixels: merge, table, overlay and writing."""
    found = bench.script("bench_objects.py", "--side", "20000", "--objects", "300000")
    # The masks that are merged are drawn first, which is no work of autosam.
    seconds = sum(step["seconds"] for step in found["steps"] if step["step"] != "masks")
    what = "300,000 objects in 20,000 × 20,000: merge, table, overlay and writing"
    yield Row("objects_seconds", what, seconds, "s", 180, seconds, details=found)
    yield Row("objects_memory", f"{what}: peak memory", found["peak_mb"] / 1000, "GB", 4)


ROWS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "start": start,
    "busy": busy,
    "em_crop": em_crop,
    "nuclei": nuclei_beside_peers,
    "real": real_images,
    "mito": mito_beside_stardist,
    "auto": automatic,
    "encoder": encoder,
    "decoder": decoder,
    "memory": memory,
    "objects": objects,
}
"""What `--only` of `bench_speed.py` chooses from, in the order in which it is measured."""
