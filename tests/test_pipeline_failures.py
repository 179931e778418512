"""What fails one image, and what ends a batch."""

import errno
import json

import numpy as np
import pytest
import tifffile
import torch
from fake_networks import BrightPixels, build_small_sam, draw_ellipses, use_component_sam

from autosam.config import load_config
from autosam.errors import InputError, OutputError
from autosam.images import find_sources
from autosam.images import write as writing
from autosam.models.networks import Networks
from autosam.pipeline.batch import segment_batch
from autosam.pipeline.failures import DeviceLostError, of_device, of_one_image
from autosam.pipeline.segmenter import Segmenter

SPOTS, _ = draw_ellipses((64, 64), [(18, 20, 9, 12), (45, 40, 10, 9)])


@pytest.fixture
def segmenter(monkeypatch):
    use_component_sam(monkeypatch)
    return Segmenter(Networks(build_small_sam(), BrightPixels()), load_config(), name="by rule")


@pytest.fixture
def sources(tmp_path):
    for name in "abc":
        tifffile.imwrite(tmp_path / f"{name}.tif", SPOTS, photometric="minisblack")
    return find_sources([tmp_path])


def states(segmenter, sources, out):
    return {item.source.name: (item.state, item.message) for item in segment_batch(sources, segmenter, out)}


def test_a_place_that_is_taken_fails_one_image(segmenter, sources, tmp_path):
    (tmp_path / "out" / "b_labels.tif").mkdir(parents=True)
    (tmp_path / "out" / "b_labels.tif" / "mine.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "out" / "b_overlay.png").write_bytes(b"an overlay")
    told = states(segmenter, sources, tmp_path / "out")
    assert [told[name][0] for name in "abc"] == ["done", "failed", "done"]
    assert "b_labels.tif cannot be written" in told["b"][1]
    assert (tmp_path / "out" / "b_labels.tif" / "mine.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.EILSEQ, errno.EISDIR])
def test_a_name_that_the_system_refuses_fails_one_image(number):
    with pytest.raises(InputError, match="cannot be written"), of_one_image(), writing.atomic_path("a_labels.tif"):
        raise OSError(number, "no such name")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_a_full_disk_ends_the_batch(number):
    with pytest.raises(OutputError), of_one_image(), writing.atomic_path("a_labels.tif"):
        raise OSError(number, "no room")


@pytest.mark.parametrize("error", [MemoryError("12 GiB"), torch.OutOfMemoryError("CUDA: 12\nGiB"), MemoryError()])
def test_too_little_memory_fails_one_image_and_takes_no_results(segmenter, sources, tmp_path, monkeypatch, error):
    states(segmenter, sources[:2], tmp_path / "out")
    labels = (tmp_path / "out" / "b_labels.tif").read_bytes()
    tifffile.imwrite(tmp_path / "b.tif", SPOTS[::-1], photometric="minisblack")
    whole = Segmenter.segment

    def segment(self, image, **options):
        if np.array_equal(image, SPOTS[::-1]):
            raise error
        return whole(self, image, **options)

    monkeypatch.setattr(Segmenter, "segment", segment)
    told = states(segmenter, sources, tmp_path / "out")
    assert [told[name][0] for name in "abc"] == ["skipped", "failed", "done"]
    assert "more memory is needed than there is" in told["b"][1]
    assert "\n" not in told["b"][1]
    assert (tmp_path / "out" / "b_labels.tif").read_bytes() == labels


@pytest.mark.parametrize(
    "text",
    ["CUDA error: unspecified launch failure\nCUDA kernel errors might be", "cuDNN error: CUDNN_STATUS_FAILED"],
)
def test_a_gpu_that_is_lost_ends_the_batch_and_fails_no_image(segmenter, sources, tmp_path, monkeypatch, text):
    whole, seen = Segmenter.segment, []

    def lose(self, image, **options):
        seen.append(image)
        if len(seen) == 2:
            raise RuntimeError(text)
        return whole(self, image, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Segmenter, "segment", lose)
        with pytest.raises(DeviceLostError) as lost:
            states(segmenter, sources, tmp_path / "out")
    assert str(lost.value) == (
        f"the GPU has stopped working ({text.splitlines()[0]}); what is done is kept: the same command goes on "
        "from there, when the GPU works again or with --device cpu"
    )
    # What was being written is whole, and nothing is claimed or failed.
    record = json.loads((tmp_path / "out" / "autosam_run.json").read_text(encoding="utf-8"))
    assert list(record["images"]) == ["a"]
    assert not list((tmp_path / "out").glob(".*"))
    told = states(segmenter, sources, tmp_path / "out")
    assert [told[name][0] for name in "abc"] == ["skipped", "done", "done"]


def test_other_faults_of_torch_are_not_taken_for_a_lost_gpu():
    with pytest.raises(RuntimeError, match="mat1 and mat2"), of_device():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
