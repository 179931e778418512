"""A generator of one model and the SAM of another, in one model file."""

import numpy as np
import pytest
import torch
from small_models import GENERATOR_ALONE, SAM_ALONE, message, write_base, write_model

from autosam.config import make_config
from autosam.errors import AutosamWarning, ModelError
from autosam.models.files.base_weights import base_state
from autosam.models.files.checkpoint import load_model, read_header
from autosam.models.files.file_hash import file_sha256
from autosam.models.files.join_models import join_models
from autosam.models.files.model_file import load_networks
from autosam.models.variants import PIXEL_STATISTICS, build_sam
from autosam.pipeline.segmenter import Segmenter


@pytest.fixture
def generator(tmp_path):
    """Write a model of a generator alone."""
    return write_model(tmp_path / "generator.safetensors", *GENERATOR_ALONE)


def test_the_pair_is_the_generator_and_the_sam(generator, tmp_path):
    base, out = write_base(tmp_path), tmp_path / "pair.safetensors"
    join_models(generator, str(base), out)
    networks, header = load_networks(out)
    alone, _ = load_networks(generator)
    assert header.base_sha256 == file_sha256(base)
    assert networks.sam is not None
    assert networks.sam.image_encoder.img_size == 64
    for name, tensor in base_state(base).items():
        assert torch.equal(networks.sam.state_dict()[name], tensor), name
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(networks.generator(image), alone.generator(image))
    config = make_config(header.settings)
    assert config.decode.sam
    assert (config.decode.fusion, config.prompts.mask, config.prompts.box) == (0, False, True)
    assert config.prompts.points >= 1
    assert (config.model.sam.small_images, config.model.sam.preprocessing) == ("enlarge", "sam")
    assert header.training["generator"]["sha256"] == file_sha256(generator)


def test_the_pair_segments(generator, tmp_path):
    out = tmp_path / "pair.safetensors"
    join_models(generator, str(write_base(tmp_path)), out)
    image = np.random.default_rng(0).integers(0, 255, (50, 40), dtype=np.uint8)
    found = Segmenter.from_model(out, device="cpu").segment(image)
    assert found.labels.shape == (50, 40)
    assert all(prompt.mask is None and prompt.box is not None for prompt in found.prompts)


def test_the_card_states_zoom_thresholds_and_licenses(generator, tmp_path):
    base, out = write_base(tmp_path), tmp_path / "pair.safetensors"
    header = join_models(generator, str(base), out)
    card = out.with_suffix(".md").read_text(encoding="utf-8")
    assert header.license == "generator: not stated; SAM: not stated"
    for text in ("| zoom | 1;", "boundary 0.5", "score 0.3, IoU 0.5", header.license, "fusion 0", "enlarge"):
        assert text in card


def test_a_sam_of_autosam_gets_what_it_was_trained_with(generator, tmp_path):
    whole, out = write_model(tmp_path / "whole.safetensors"), tmp_path / "pair.safetensors"
    join_models(generator, str(whole), out)
    config = make_config(read_header(out).settings)
    assert config.prompts.mask
    assert config.model.sam.small_images == "mirror"
    assert load_networks(out)[0].sam is not None


def test_medsam_is_known_by_its_name_and_can_be_told(generator, tmp_path):
    medsam = write_base(tmp_path).rename(tmp_path / "medsam_vit_b.pth")
    with pytest.warns(AutosamWarning, match=r"medsam_vit_b\.pth is taken for MedSAM"):
        join_models(generator, str(medsam), tmp_path / "one.safetensors")
    join_models(generator, str(medsam), tmp_path / "two.safetensors", preprocessing="sam")
    sams = [load_networks(tmp_path / f"{name}.safetensors")[0].sam for name in ("one", "two")]
    white = torch.full((1, 3, 64, 64), 255.0)
    assert sams[0] is not None
    assert sams[1] is not None
    assert torch.equal(sams[0].preprocess(white), torch.ones(1, 3, 64, 64))
    mean, deviation = (torch.tensor(values) for values in PIXEL_STATISTICS["sam"])
    assert torch.allclose(sams[1].preprocess(white)[0, :, 0, 0], (255 - mean) / deviation)


def test_what_does_not_join_is_refused(generator, tmp_path):
    base, out = write_base(tmp_path), tmp_path / "pair.safetensors"
    other = tmp_path / "other.pth"
    torch.save({"x": torch.zeros(3)}, other)
    with pytest.raises(ModelError, match=r"other\.pth holds no SAM that autosam knows; wanted vit_b"):
        join_models(generator, str(other), out)
    with pytest.raises(ModelError, match="the weights of vit_b are not on this machine"):
        join_models(generator, "vit_b", out)
    with pytest.raises(ModelError, match="has no SAM that answers prompts"):
        join_models(generator, str(generator), out)
    write_model(tmp_path / "sam.safetensors", *SAM_ALONE)
    with pytest.raises(ModelError, match="has no generator of its own") as caught:
        join_models(tmp_path / "sam.safetensors", str(base), out)
    message(caught)
    broken = build_sam("tiny", image_size=64).state_dict()
    broken["mask_decoder.iou_token.weight"][0, 0] = torch.nan
    torch.save(broken, other)
    with pytest.raises(ModelError, match=r"NaN or infinity in 1 \(mask_decoder\.iou_token\.weight\)"):
        join_models(generator, str(other), out)
    assert not out.exists()
    out.write_bytes(b"")
    with pytest.raises(ModelError, match="exists; choose another file"):
        join_models(generator, str(base), out)


@pytest.mark.slow
def test_the_bundled_generator_and_a_vit_b(tmp_path):
    torch.manual_seed(0)
    torch.save({"model_state": build_sam("vit_b").state_dict()}, tmp_path / "vit_b.pt")
    out = tmp_path / "mine.safetensors"
    header = join_models("mito", str(tmp_path / "vit_b.pt"), out)
    assert header.license == "generator: CC BY-NC-SA 3.0; SAM: not stated"
    tensors, _ = load_model(out)
    assert {name.split(".")[0] for name in tensors} >= {"generator", "statistics"}
    segmenter = Segmenter.from_model(out, device="cpu")
    image = np.random.default_rng(0).integers(0, 255, (96, 80), dtype=np.uint8)
    assert segmenter.segment(image).labels.shape == (96, 80)
