"""The commands of the tutorial on a stain of one's own, in order, on parts of a purple-stained image.

A small model that has seen nothing stands for `nuclei`, and a script for the person who corrects.
"""

import re
import shlex
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from docs_pages import ROOT, blocks
from small_models import GENERATOR_ALONE, write_model

from autosam.cli import open_page
from autosam.images import read_image, read_labels, write_labels, write_png
from autosam.models.files.checkpoint import read_header
from autosam.review.corrections import Correction
from autosam.review.corrections_file import read_corrections
from autosam.review.drawn_mask import mask_text
from autosam.review.page.make_review import corrections_file
from autosam.review.review_results import ReviewResults
from autosam.review.server.save_corrections import SavedCorrections

pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install 'autosam[review]'")

PAGE = ROOT / "docs" / "tutorials" / "foreign_stain.md"
IMAGE = ROOT / "examples" / "nuclei" / "dsb2018_5ef4442e5b8b.png"
TRUTH = Path(__file__).with_name("purple_stain_labels.png")
PARTS = {"purple/1": (0, 0), "purple/2": (0, 160), "purple/3": (128, 0), "later/4": (128, 160)}
"""First row and column of the parts of the image; `purple` is corrected, and `later` comes afterwards."""
SHAPE = 128, 160
FAST = "--steps 150 --device cpu --set training.workers=0 --set training.precision=float32"
REVIEWED = 100
"""Columns of each part that the person looks at."""


def truth_of(name: str) -> np.ndarray:
    row, col = PARTS[name]
    return read_labels(TRUTH)[row : row + SHAPE[0], col : col + SHAPE[1]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write the parts of the image, and the labels of the one that comes later."""
    for name in ("purple", "later", "later_labels"):
        (tmp_path / name).mkdir()
    for name, (row, col) in PARTS.items():
        write_png(tmp_path / f"{name}.png", read_image(IMAGE)[row : row + SHAPE[0], col : col + SHAPE[1]])
    write_labels(tmp_path / "later_labels" / "4.png", truth_of("later/4"))
    return tmp_path


def correct(folder: Path) -> None:
    """Correct the left side of each image: delete what is there, draw every nucleus, and say that all is right."""
    results = ReviewResults.open(folder / "results")
    saved = SavedCorrections(results, corrections_file(results.folder))
    for name, image in results.images.items():
        found, truth = image.read_labels(), truth_of(f"purple/{name}")
        box = (0, 0, SHAPE[0] - 1, REVIEWED - 1)
        wrong = np.unique(found[:, :REVIEWED])
        nuclei = [number for number in np.unique(truth[:, :REVIEWED]) if number]
        for one in (
            *(Correction(name, "delete", (int(number),)) for number in wrong if number),
            *(Correction(name, "add", mask=mask_text(truth == number), by="hand") for number in nuclei),
            Correction(name, "reviewed", box=box),
        ):
            saved.save([replace(one, results=image.results)])


def test_the_commands_lead_to_a_better_model(
    folder: Path, autosam: Callable[..., tuple[int, str, str]], few_windows: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = write_model(folder / "small.safetensors", *GENERATOR_ALONE, "tiles.size=64", "images.diameter=16")
    served: list[str] = []
    monkeypatch.setattr(open_page, "open_page", lambda url: nullcontext(served.append(url)))

    def person() -> None:
        correct(folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(open_page, "wait", person)
    told = []
    for block in blocks(PAGE, "bash"):
        for line in block.code.splitlines() if block.mark == "in order" else ():
            words = [str(small) if word == "nuclei" else word for word in shlex.split(line)[1:]]
            words += shlex.split(FAST) if words[0] == "adapt" else []
            status, out, err = autosam(*words)
            assert status == 0, f"{line}: {err}"
            told.append(out + err)
    segmented, reviewed, applied, adapted, _, later, before, after = told

    assert "3 images segmented" in segmented
    assert "Report on 3 images: results/report.html" in segmented
    assert "autosam report" in (folder / "results" / "report.html").read_text(encoding="utf-8")
    assert re.search(r"\d+ crops to review, saved in results/corrections.csv", reviewed)
    assert served == [reviewed.splitlines()[1]]
    assert served[0].startswith("http://127.0.0.1:")
    made = read_corrections(folder / "results" / "corrections.csv")
    assert 25 <= len(made) <= 35
    assert f"{len(made)} corrections applied to 3 images: " in applied
    corrected = {one.stem: read_labels(one) for one in (folder / "fixed" / "training" / "labels").iterdir()}
    for name, labels in corrected.items():
        assert np.array_equal(labels[:, :REVIEWED] > 0, truth_of(f"purple/{name}")[:, :REVIEWED] > 0)
    assert re.search(r"3 images with \d+ objects in the \d+% of the pixels that count", adapted)
    assert "purple_model.safetensors has new weights" in adapted
    record = read_header(folder / "purple_model.safetensors").training["adapted"]
    assert record["data"]["sha256"]
    assert record["before"]["ap50"][0] < record["after"]["ap50"][0]
    assert "Report on 1 image: after/report.html" in later
    # Better on an image that nobody corrected.
    assert _mean_ap(before) < _mean_ap(after) - 0.03


def _mean_ap(told: str) -> float:
    """Read the mean AP over all objects from the table of `autosam evaluate`."""
    titles = next(re.split(r"  +", line) for line in told.splitlines() if "mean AP" in line)
    cells = next(re.split(r"  +", line) for line in told.splitlines() if line.startswith("pooled"))
    return float(cells[titles.index("mean AP")])
