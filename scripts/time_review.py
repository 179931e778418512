"""How long a click on the review page takes to be answered: `autosam review --serve`, on two threads of a CPU.

An image of 1024 × 768 pixels is made of an electron micrograph of the examples, by mirroring. It is segmented and
served, and clicks go through HTTP as those of a browser do. CPU seconds are those of this process.

    python scripts/time_review.py [--model mito] [--threads 2] [--clicks 20]
"""

import argparse
import http.client
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import torch
from bench_timing import ROOT
from numpy.typing import NDArray

from autosam.images import find_sources, read_image, write_png
from autosam.models.files.file_hash import file_sha256
from autosam.models.files.zoo import resolve_model
from autosam.pipeline.batch import segment_batch
from autosam.pipeline.segmenter import Segmenter
from autosam.review.page.make_review import ReviewOptions, make_review
from autosam.review.review_results import ReviewResults
from autosam.review.server.live_answers import LiveAnswers
from autosam.review.server.serve_review import serve_review
from autosam.review.server.take_port import take_port

SHAPE = 768, 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="mito")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clicks", type=int, default=20)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        results = segment(Path(folder), given.model)
        opened = ReviewResults.open(results)
        started = time.perf_counter()
        page = make_review(opened, ReviewOptions(device="cpu"))
        print(f"{len(page.crops)} crops in {time.perf_counter() - started:.1f} s")
        answers = LiveAnswers(opened, device="cpu")
        with serve_review(opened, page, answers, take_port(0)) as url:
            measure(url, opened.images["a"].read_labels(), given.clicks)


def segment(folder: Path, model: str) -> Path:
    image = read_image(ROOT / "examples" / "vnc_12.png")
    more = [(0, max(0, wanted - there)) for wanted, there in zip(SHAPE, image.shape, strict=False)]
    write_png(folder / "a.png", np.pad(image, more, mode="symmetric")[: SHAPE[0], : SHAPE[1]])
    segmenter = Segmenter.from_model(model, device="cpu")
    sha256 = file_sha256(resolve_model(model))
    list(segment_batch(find_sources([folder / "a.png"]), segmenter, folder / "out", model_sha256=sha256))
    return folder / "out"


def measure(url: str, labels: NDArray[np.int32], clicks: int) -> None:
    place = urlsplit(url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port)

    def ask(question: dict[str, object]) -> dict[str, object]:
        connection.request("POST", f"{place.path}answer", json.dumps({"image": "a", **question}))
        reply: dict[str, object] = json.loads(connection.getresponse().read())
        return reply

    first = time.perf_counter()
    while ask({"points": [[5.0, 5.0]], "labels": [1]}).get("loading"):
        time.sleep(0.01)
    print(f"first answer after {time.perf_counter() - first:.2f} s, with the model's loading")
    random = np.random.default_rng(0)
    places = np.argwhere(labels > 0)
    points = places[random.integers(len(places), size=clicks)].astype(float).tolist()
    boxes = [
        [*np.maximum(np.subtract(point, 30), 0), *np.minimum(np.add(point, 30), np.subtract(SHAPE, 1))]
        for point in points
    ]
    for what in ("new clicks", "the same again, with a point beside", "boxes"):
        seconds, used = [], []
        for point, box in zip(points, boxes, strict=True):
            beside = [min(point[0] + 40, SHAPE[0] - 1), point[1]]
            question: dict[str, object] = {"points": [point], "labels": [1]}
            if what.startswith("the same"):
                question = {"points": [point, beside], "labels": [1, 0]}
            elif what == "boxes":
                question = {"box": [float(value) for value in box]}
            took, cpu = timed(lambda asked=question: ask(asked))
            seconds.append(took)
            used.append(cpu)
        told = f"median {np.median(seconds):.3f} s, longest {max(seconds):.3f} s"
        print(f"{what}: {told}; CPU median {np.median(used):.3f} s, most {max(used):.3f} s")


def timed(call: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
