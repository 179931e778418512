"""Whether a change of the code leaves every result as it was: labels and scores, bit for bit.

    python scripts/golden.py write FOLDER      # with the code before the change
    python scripts/golden.py compare FOLDER    # with the code after it, on the same machine
    python scripts/golden.py store FOLDER      # renew the labels that tests/test_golden.py compares with

Both segment the example images, and a crop of each, with both bundled models in every setting of `SETTINGS`, in
float32 on one thread. `--crops` leaves out the whole images, which take most of the time; `--source DIR` takes the
code of another checkout (its `src`). The script knows the command line only: it compares what a user gets.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Set before anything loads torch: two threads add up floats in another order than one.
os.environ["OMP_NUM_THREADS"] = "1"

EXAMPLES = {
    "mito": ("vnc_12.png", "vnc_13.png"),
    "nuclei": ("nuclei/dsb2018_5ef4442e5b8b.png", "nuclei/dsb2018_5f9d29d6388c.png"),
}
CROPS = {"mito": (slice(300, 660), slice(100, 500)), "nuclei": (slice(40, 200), slice(60, 250))}
"""Part of every example, large enough for a dozen objects."""

DIAMETERS = {"mito": "30", "nuclei": "14"}
"""Far from those of the training, so that the image is zoomed."""

PROMPTS = """object,row,col,label,row_min,col_min,row_max,col_max
1,80,90,1,,,,
1,60,60,0,,,,
2,,,,20,30,70,95
3,120,140,1,,,,
"""

SETTINGS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "diameter": ("--diameter", "{diameter}"),
    "prompts": ("--prompts", "{prompts}"),
    "prompts_with_automatic": ("--prompts", "{prompts}", "--with-automatic"),
    "channels": ("--channels", "_a,_b", "--set", "images.combine=avg"),
    "generator_alone": ("--set", "decode.sam=false"),
    "grid": ("--prompts", "grid", "--set", "prompts.grid=10"),
    "oracle": ("--oracle-mask", "{truth}"),
    "small_tiles": ("--set", "tiles.size=192"),
    "thresholds": ("--set", "prompts.judge=false", "--set", "decode.fusion=0"),
}
"""Options of `autosam segment`, with the names of 0.1: old names must go on working."""


def make_inputs(folder: Path, model: str, *, crops_only: bool) -> None:
    """Write images, pairs of channels, a made-up truth and a table of prompts for each image."""
    import numpy as np
    from scipy import ndimage
    from skimage.io import imread, imsave

    for part in ("images", "channels", "truth", "prompts"):
        (folder / part).mkdir(parents=True)
    for example in EXAMPLES[model]:
        whole = imread(ROOT / "examples" / example)
        name = Path(example).stem
        images = {f"{name}_crop": whole[CROPS[model]]}
        if not crops_only:
            images[name] = whole
        for stem, image in images.items():
            gray = image if image.ndim == 2 else image.mean(axis=2).astype(np.uint8)
            imsave(folder / "images" / f"{stem}.png", image, check_contrast=False)
            imsave(folder / "channels" / f"{stem}_a.png", gray, check_contrast=False)
            imsave(folder / "channels" / f"{stem}_b.png", ndimage.gaussian_filter(gray, 2), check_contrast=False)
            dark = ndimage.gaussian_filter(gray.astype(np.float32), 3) < np.quantile(gray, 0.25)
            truth = ndimage.label(dark)[0].astype(np.uint16)
            imsave(folder / "truth" / f"{stem}.tif", truth, check_contrast=False)
            (folder / "prompts" / f"{stem}_prompts.csv").write_text(PROMPTS)


def segment(inputs: Path, out: Path, model: str, setting: str) -> None:
    """Run `autosam segment` in this process."""
    from autosam.cli import main

    values = {
        "diameter": DIAMETERS[model],
        "prompts": str(inputs / "prompts"),
        "truth": str(inputs / "truth"),
    }
    options = [option.format(**values) for option in SETTINGS[setting]]
    images = inputs / ("channels" if setting == "channels" else "images")
    before = sys.argv
    sys.argv = ["autosam", "segment", str(images), "-o", str(out), "--model", model, "--device", "cpu", *options]
    sys.argv += ["--set", "decode.precision=float32"]
    try:
        main()
    except SystemExit as stop:
        if stop.code:
            raise
    finally:
        sys.argv = before


def run_model(folder: Path, model: str, *, crops_only: bool) -> None:
    """Segment everything with one model; FOLDER gets MODEL/SETTING/NAME_labels.tif and NAME_scores.txt."""
    with tempfile.TemporaryDirectory() as temporary:
        inputs = Path(temporary) / "inputs"
        make_inputs(inputs, model, crops_only=crops_only)
        for setting in SETTINGS:
            results = Path(temporary) / setting
            segment(inputs, results, model, setting)
            kept = folder / model / setting
            kept.mkdir(parents=True)
            for labels in sorted(results.glob("*_labels.tif")):
                shutil.copy(labels, kept)
                table = results / labels.name.replace("_labels.tif", "_instances.csv")
                with table.open(newline="") as file:
                    scores = [row["score"] for row in csv.DictReader(file)]
                (kept / labels.name.replace("_labels.tif", "_scores.txt")).write_text("\n".join(scores))


def run_all(folder: Path, *, source: Path, crops_only: bool, jobs: int) -> None:
    """Segment everything with the code of a checkout, one process a model."""
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_WAIT_POLICY": "passive"}
    options = ["--crops"] if crops_only else []
    waiting, running = list(EXAMPLES), []
    while waiting or running:
        while waiting and len(running) < jobs:
            command = [sys.executable, __file__, "model", str(folder), "--model", waiting.pop(0), *options]
            running.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL))
        if running.pop(0).wait():
            raise SystemExit("golden: a run failed; see above")


def differences(before: Path, after: Path) -> Iterator[str]:
    """Name every file that is missing or not the same array; files that only the later run has do not count."""
    import numpy as np
    from skimage.io import imread

    # A reference of whole images also serves a look at the crops.
    for path in sorted(after.rglob("*_*.t*")):
        name = path.relative_to(after)
        if not (before / name).exists():
            yield f"{name}: not in {before}"
        elif path.suffix == ".txt":
            if path.read_text() != (before / name).read_text():
                yield f"{name}: other scores"
        elif not np.array_equal(imread(path), imread(before / name)):
            yield f"{name}: other labels"


def store(folder: Path, file: Path) -> None:
    """Pack the labels of the crops into one file for the test suite."""
    import numpy as np
    from skimage.io import imread

    arrays = {
        "/".join(path.relative_to(folder).parts).removesuffix("_labels.tif"): imread(path)
        for path in sorted(folder.rglob("*_crop_labels.tif"))
    }
    np.savez_compressed(file, **arrays)
    print(f"golden: {len(arrays)} label images in {file}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what", choices=["write", "compare", "store", "model"], help="model is for the script itself"
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--crops", action="store_true")
    parser.add_argument("--source", type=Path, default=ROOT / "src")
    parser.add_argument("--model", choices=list(EXAMPLES))
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args(arguments)
    if given.what == "model":
        run_model(given.folder, given.model, crops_only=given.crops)
    elif given.what == "store":
        store(given.folder, ROOT / "tests" / "golden.npz")
    elif given.what == "write":
        run_all(given.folder, source=given.source, crops_only=given.crops, jobs=given.jobs)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            after = Path(temporary) / "after"
            run_all(after, source=given.source, crops_only=given.crops, jobs=given.jobs)
            compared = len(list(after.rglob("*_labels.tif")))
            found = list(differences(given.folder, after))
        print("\n".join(found) or f"golden: {compared} label images and their scores are the same, bit for bit")
        if found or not compared:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
