"""Pixels that do not count in training: no loss, no tile wholly there, no prompt that points there."""

from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from autosam.config import Config, GeneratorConfig, ModelConfig, PromptsConfig, TrainingConfig
from autosam.data import LabeledImage
from autosam.data.folders import load_labeled_images
from autosam.data.valid_pixels import inside
from autosam.errors import InputError
from autosam.models.networks import build_networks
from autosam.prompts.prompt import Prompt
from autosam.training.joint import JointModel
from autosam.training.losses.pixel_losses import GENERATOR_LOSSES, MASK_LOSSES, mask_iou
from autosam.training.prompting.prompt_targets import match_user_prompts
from autosam.training.prompting.tile_prompts import predicted_prompts
from autosam.training.samples.batches import check_trainable
from autosam.training.samples.load_images import load_part
from autosam.training.samples.targets import known_share, target_weights
from autosam.training.samples.tiles import IGNORED, TileDataset, collate_tiles, cut_tile


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def halves(side: int = 64) -> LabeledImage:
    """Make an image whose left half is labeled: an object there, another one in the right half that is not."""
    labels = np.zeros((side, side), np.int32)
    labels[8:24, 8:24] = 1
    valid = np.zeros(labels.shape, bool)
    valid[:, : side // 2] = True
    image = np.full((side, side, 3), 50, np.uint8)
    image[labels > 0] = 200
    image[8:24, side // 2 + 8 : side // 2 + 24] = 200
    return LabeledImage("s/a", "s", image, labels, (), valid)


def save(folder, name, pixels):
    folder.mkdir(exist_ok=True, parents=True)
    tifffile.imwrite(folder / name, pixels)


# Loading


def test_masks_beside_the_labels_are_loaded(tmp_path):
    one = halves()
    for name in ("a", "b"):
        save(tmp_path / "images", f"{name}.tif", one.image)
        save(tmp_path / "labels", f"{name}.tif", one.labels.astype(np.uint16))
        save(tmp_path / "valid", f"{name}.tif", one.valid.astype(np.uint8) * 255)
    for found in load_part(tmp_path, Config(), "train"):
        np.testing.assert_array_equal(found.valid, one.valid)
    off = {"data": {"sources": ({"name": "d", "images": "images", "labels": "labels", "valid": "none"},)}}
    assert load_part(tmp_path, Config.model_validate(off), "train")[0].valid is None
    (tmp_path / "valid").rename(tmp_path / "aside")
    save(tmp_path / "valid", "other.tif", one.valid.astype(np.uint8))
    with pytest.raises(InputError, match=r"valid holds masks, such as other\.tif, and none is named"):
        load_part(tmp_path, Config(), "train")
    (tmp_path / "valid" / "other.tif").unlink()
    (tmp_path / "valid").rmdir()
    (tmp_path / "aside").rename(tmp_path / "valid")
    (tmp_path / "valid" / "a.tif").unlink()
    with pytest.raises(InputError, match=r"1 of 2 images have no mask in .*valid, such as a"):
        load_labeled_images(tmp_path / "images", tmp_path / "labels", source="d")
    save(tmp_path / "valid", "a.tif", one.valid[:5].astype(np.uint8))
    with pytest.raises(InputError, match=r"shape \(5, 64\) and the labels \(64, 64\)"):
        load_labeled_images(tmp_path / "images", tmp_path / "labels", source="d")
    with pytest.raises(InputError, match=r"no folder .*gone of masks"):
        load_labeled_images(tmp_path / "images", tmp_path / "labels", source="d", valid=tmp_path / "gone")


@pytest.mark.parametrize(("number", "dtype"), [(255, np.uint8), (-1, np.int16)])
def test_a_number_of_the_labels_can_mark_them(tmp_path, number, dtype):
    one = halves()
    save(tmp_path / "images", "a.tif", one.image)
    save(tmp_path / "labels", "a.tif", np.where(one.valid, one.labels, number).astype(dtype))
    data = {"sources": ({"name": "d", "images": "images", "labels": "labels", "ignore_label": number},)}
    (found,) = load_part(tmp_path, Config.model_validate({"data": data}), "train")
    np.testing.assert_array_equal(found.valid, one.valid)
    np.testing.assert_array_equal(found.labels, one.labels)


def test_objects_mostly_outside_do_not_count():
    labels = np.array([[1, 1, 1, 0, 2, 2, 3]], np.int32)
    ids, valid = inside(labels, np.array([[False, False, True, True, True, False, True]]))
    assert ids.tolist() == [[0, 0, 0, 0, 2, 0, 3]]
    assert valid.tolist() == [[False, False, False, True, True, False, True]]


# Tiles


@pytest.mark.parametrize("zoom", [1.0, 2.0, 0.4])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_no_tile_lies_wholly_where_nothing_is_learnt(zoom, share):
    one = halves(128)
    seen = set()
    for seed in range(30):
        image, labels, _ = cut_tile(one, 32, zoom, rng(seed), object_share=share)
        assert (labels >= 0).any()
        seen |= set(np.unique(labels).tolist())
        if zoom == 1:
            # The unlabeled object is bright, and never background.
            assert not ((image[..., 0] > 0.5) & (labels == 0)).any()
    assert (IGNORED in seen) == (share == 0 or zoom < 1)


def test_an_image_without_a_valid_pixel_gives_no_tile():
    one = halves()
    nothing = LabeledImage("s/b", "s", one.image, np.zeros_like(one.labels), (), np.zeros(one.labels.shape, bool))
    config = Config.model_validate({"training": {"object_tiles": 0.0}})
    tiles = TileDataset([one, nothing], config, size=32, length=20)
    assert all((tile.labels >= 0).any() for tile in map(tiles.__getitem__, range(20)))
    with pytest.raises(InputError, match="none of the 1 training images has a valid pixel"):
        TileDataset([nothing], config, size=32, length=1)
    with pytest.raises(InputError, match="none of the 1 training images has a valid pixel"):
        check_trainable(config, [nothing])


def test_tiles_of_images_without_a_mask_stay_as_they_were():
    one = halves()
    plain = LabeledImage(one.name, one.source, one.image, one.labels)
    everywhere = LabeledImage(one.name, one.source, one.image, one.labels, (), np.ones(one.labels.shape, bool))
    for labeled in (plain, everywhere):
        assert all((cut_tile(labeled, 32, 1.0, rng(s), object_share=0.5)[1] >= 0).all() for s in range(5))


# Losses


@pytest.mark.parametrize("loss", [*MASK_LOSSES.values(), *GENERATOR_LOSSES.values()])
def test_losses_see_what_counts_alone(loss):
    logits = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    target = (torch.arange(8).expand(8, 8) < 3).float().expand(3, 8, 8)
    weight = torch.zeros(1, 8, 8)
    weight[:, :, :4] = 1
    found = loss(logits, target, weight)
    torch.testing.assert_close(found, loss(logits[:, :, :4], target[:, :, :4]))
    found.sum().backward()
    assert logits.grad is not None
    assert not logits.grad[:, :, 4:].any()
    torch.testing.assert_close(loss(logits, target, torch.ones(1, 8, 8)), loss(logits, target))
    assert loss(logits, target, torch.zeros(1, 8, 8)).tolist() == pytest.approx([0.0] * 3)


def test_iou_of_what_counts():
    logits, target = torch.tensor([[[1.0, 1.0, -1.0, 1.0]]]), torch.tensor([[[1.0, 0.0, 1.0, 0.0]]])
    assert mask_iou(logits, target).item() == 1 / 4
    assert mask_iou(logits, target, torch.tensor([[[1.0, 1.0, 0.0, 0.2]]])).item() == 1 / 2


def test_outlines_at_the_end_of_the_known_part_are_not_learnt():
    one = halves(32)
    labels = np.zeros_like(one.labels)
    labels[8:16, 2:8] = 1
    labels[20:26, 8:16] = 2  # cut by the end of the known part, at column 16
    known = target_weights(labels, one.valid, ("foreground", "boundary", "center"), boundary_width=2)
    np.testing.assert_array_equal(known[0] > 0, one.valid)
    assert known[1, :, 13].all()
    assert not known[1, :, 14:].any()
    assert not known[2][labels == 2].any()
    assert known[2][labels == 1].all()


def test_share_of_low_resolution_pixels():
    labels = torch.zeros(8, 8, dtype=torch.int32)
    assert known_share(labels, 4) is None
    labels[:, 6:] = IGNORED
    share = known_share(labels, 4)
    assert share is not None
    assert share.tolist() == [[[1.0, 0.5], [1.0, 0.5]]]


def tiny_model(**training: Any) -> JointModel:
    model = ModelConfig(sam=None, generator=GeneratorConfig(channels=("foreground", "boundary")))
    torch.manual_seed(0)
    return JointModel(build_networks(model, seed=0), prompts=PromptsConfig(), training=TrainingConfig(**training))


def test_what_stands_in_ignored_pixels_changes_no_gradient():
    tiles = [TileDataset([halves()], Config(), size=64, length=2)[i] for i in range(2)]
    batch = collate_tiles(tiles)
    assert (batch.labels < 0).any()
    model = tiny_model()
    loss = model(batch.images, batch.labels, user_prompts=batch.prompts, predicted_share=0.0, seed=(0, 0))
    assert float(loss.generator.detach()) > 0
    logits = model.generator(batch.images).detach().requires_grad_()
    valid = (batch.labels >= 0).numpy()
    model._label_loss(logits, [], np.maximum(batch.labels.numpy(), 0), valid).backward()
    assert logits.grad is not None
    assert not logits.grad[:, 0].numpy()[~valid].any()
    assert logits.grad[:, 0].numpy()[valid].any()


# Prompts


def test_regions_mostly_outside_give_no_prompts():
    one = halves()
    maps = {"foreground": (one.image[..., 0] > 100).astype(np.float32)}
    settings, prompts = TrainingConfig(vary_thresholds=0.0), PromptsConfig(min_size=10)
    everything = predicted_prompts(one.labels, maps, prompts, settings, rng())
    assert sorted(everything.targets.tolist()) == [0, 1]
    inner = predicted_prompts(one.labels, maps, prompts, settings, rng(), valid=one.valid)
    assert inner.targets.tolist() == [1]


def test_user_prompts_outside_are_left_out():
    one = halves()
    places = ([15, 15], [15, 48], [50, 5])
    points = [Prompt(points=np.array([place], float), point_labels=np.array([1])) for place in places]
    boxes = [Prompt(points=np.zeros((0, 2)), point_labels=np.zeros(0, np.int64), box=np.array([8.0, 40, 23, 55]))]
    assert match_user_prompts(one.labels, [*points, *boxes]).targets.tolist() == [1, 0, 0, 0]
    assert match_user_prompts(one.labels, [*points, *boxes], valid=one.valid).targets.tolist() == [1, 0]
