"""A teacher: its averaged maps, the loss that they give, and what is refused."""

from pathlib import Path

import pytest
import torch
from blobs import disc_tiles, small_config
from torch import Tensor, nn

from autosam.config import Config
from autosam.errors import ConfigError, ModelError
from autosam.models.files.checkpoint import ModelHeader, save_model
from autosam.models.files.model_file import network_tensors
from autosam.models.generator.unet import Generator
from autosam.models.networks import build_networks
from autosam.training.joint import JointModel
from autosam.training.losses.pixel_losses import bce
from autosam.training.teacher import Teacher, load_teacher

ALONE = ("model.sam=null", "decode.sam=false")


def first_column(images: Tensor, *, reduced: bool = False) -> Tensor:
    """Logits that are large in the first column alone, wherever the image's content is."""
    logits = torch.full((len(images), 2, *images.shape[-2:]), -20.0)
    logits[..., 0] = 20
    return logits


class Drawn(Generator):
    """A UNet whose answer is given."""

    def __init__(self, answer) -> None:
        super().__init__(
            encoder="resnet18", channels=("foreground", "boundary"), depth=3, decoder_channels=(8, 8, 8)
        )
        self.answer = answer

    def forward(self, image: Tensor, *, reduced: bool = False) -> Tensor:
        return self.answer(image)


def write_teacher(path: Path, *overrides: str) -> Config:
    config = small_config(*ALONE, *overrides)
    networks = build_networks(config.model, seed=5)
    header = ModelHeader(settings=config.model_dump(mode="json"), training={}, license="")
    save_model(path, tensors=network_tensors(networks, config.model), metadata=header)
    return config


def test_a_mirrored_answer_is_turned_back() -> None:
    teacher = Teacher(Drawn(first_column), (0, 1), (1.0,), flips=True)
    images = torch.rand(1, 3, 16, 16)
    plain, rows, cols, both = (teacher.maps(images, mirrored=[number])[0, 0].round() for number in range(4))
    assert plain[:, 0].all()
    assert plain.sum() == 16
    assert torch.equal(rows, plain)
    assert torch.equal(cols, plain.flip(-1))
    assert torch.equal(both, cols)


def test_rotated_sees_the_tile_as_it_is_or_turned() -> None:
    teacher = Teacher(Drawn(first_column), (0, 1), (1.0,), flips="rotated")
    images = torch.rand(1, 3, 16, 16)
    seen = [teacher.maps(images, mirrored=[number])[0, 0].round() for number in range(4)]
    for number, maps in enumerate(seen):
        assert maps[:, -1 if number % 2 else 0].all()
        assert maps.sum() == 16


def test_without_flips_no_mirror_image_is_seen() -> None:
    teacher = Teacher(Drawn(first_column), (0,), (1.0,), flips=False)
    images = torch.rand(1, 3, 16, 16)
    assert torch.equal(teacher.maps(images, mirrored=[3]), teacher.maps(images, mirrored=[0]))


def test_maps_are_averaged_over_scales_in_the_order_of_the_student() -> None:
    sides: list[int] = []

    def by_scale(images: Tensor) -> Tensor:
        sides.append(images.shape[-1])
        # Foreground is sure where the tile is seen at its own size, boundary where it is enlarged.
        first = 20.0 if images.shape[-1] == 16 else -20.0
        return torch.tensor([first, -first])[None, :, None, None].expand(len(images), 2, *images.shape[-2:])

    teacher = Teacher(Drawn(by_scale), (1, 0), (1.0, 1.4, 1.4, 1.4), flips=False)
    maps = teacher.maps(torch.rand(2, 3, 16, 16), mirrored=[0, 0, 0, 0])
    # 22 pixels are mirrored up to a multiple of the UNet's stride, 8.
    assert sides == [16, 24, 24, 24]
    assert maps.shape == (2, 2, 16, 16)
    torch.testing.assert_close(maps[:, 0], torch.full((2, 16, 16), 0.75))
    torch.testing.assert_close(maps[:, 1], torch.full((2, 16, 16), 0.25))


def test_the_loss_is_shared_between_teacher_and_labels() -> None:
    config = small_config(*ALONE)
    networks = build_networks(config.model)
    channels = networks.generator.channels
    teacher = Teacher(build_networks(config.model, seed=3).generator.eval(), (0, 1), (1.0,), flips=False)
    images, labels = disc_tiles()

    def loss(share: float, labels: Tensor) -> Tensor:
        settings = config.training.model_copy(update={"teacher_share": share})
        model = JointModel(networks, prompts=config.prompts, training=settings, teacher=teacher).eval()
        assert not any("teacher" in name for name in model.state_dict())
        found = model(images, labels, user_prompts=[()] * len(images), predicted_share=0.0, seed=(0, 0))
        return found.generator

    with torch.no_grad():
        expected = bce(networks.generator.eval()(images), teacher.generator(images).sigmoid()).mean(dim=1).sum()
    assert len(channels) == 2
    torch.testing.assert_close(loss(1.0, labels), expected)
    known = loss(0.0, labels)
    torch.testing.assert_close(loss(0.25, labels), 0.25 * expected + 0.75 * known)
    # Labels that nobody knows leave the teacher alone.
    torch.testing.assert_close(loss(0.5, torch.full_like(labels, -1)), 0.5 * expected)


def test_where_labels_are_unknown_the_teacher_comes_beside_them() -> None:
    config = small_config(*ALONE)
    networks = build_networks(config.model)
    teacher = Teacher(build_networks(config.model, seed=3).generator.eval(), (0, 1), (1.0,), flips=False)
    images, labels = disc_tiles()
    half = labels.clone()
    half[..., 32:] = -1

    def loss(labels: Tensor, **update: object) -> Tensor:
        settings = config.training.model_copy(update=update)
        model = JointModel(networks, prompts=config.prompts, training=settings, teacher=teacher).eval()
        found = model(images, labels, user_prompts=[()] * len(images), predicted_share=0.0, seed=(0, 0))
        return found.generator

    def both(share: float, labels: Tensor) -> Tensor:
        return loss(labels, teacher_where="unknown", teacher_share=share)

    with torch.no_grad():
        found, target = networks.generator.eval()(images), teacher.generator(images).sigmoid()
    taught = bce(found[..., 32:], target[..., 32:]).mean(dim=1).sum()
    known = loss(half, teacher_share=0.0)
    torch.testing.assert_close(both(0.25, half), known + 0.25 * taught)
    torch.testing.assert_close(both(1.0, half), known + taught)
    # There is nothing to teach where all is known.
    assert torch.equal(both(1.0, labels), loss(labels, teacher_share=0.0))


def test_a_student_comes_near_its_teacher() -> None:
    config = small_config(*ALONE, "training.teacher_share=1.0")
    networks = build_networks(config.model)
    teacher = Teacher(build_networks(config.model, seed=3).generator.eval(), (0, 1), (1.0,), flips=True)
    model = JointModel(networks, prompts=config.prompts, training=config.training, teacher=teacher)
    optimizer = torch.optim.Adam(networks.generator.parameters(), lr=0.003)
    images, labels = disc_tiles()
    distances = []
    for step in range(12):
        found = model(images, labels, user_prompts=[()] * len(images), predicted_share=0.0, seed=(0, step))
        target = teacher.maps(images, mirrored=[0])
        distances.append(float((networks.generator(images).sigmoid() - target).abs().mean().detach()))
        optimizer.zero_grad()
        found.generator.backward()
        optimizer.step()
    assert distances[-1] < 0.7 * distances[0]


def test_a_teacher_is_loaded_with_its_own_way_of_averaging(tmp_path: Path) -> None:
    path = tmp_path / "teacher.safetensors"
    write_teacher(path, "decode.flips=true", "decode.zooms=[1.0,1.5]", "images.zoom=2.0")
    teacher = load_teacher(small_config(*ALONE, f"training.teacher={path}", "images.zoom=4.0"))
    assert teacher is not None
    assert teacher.flips
    # The student's tiles are zoomed twice as much as those that the teacher knows.
    assert teacher.scales == (0.5, 0.75)
    assert not isinstance(teacher, nn.Module)
    assert not teacher.generator.training
    assert load_teacher(small_config(*ALONE)) is None


def test_what_is_no_teacher(tmp_path: Path) -> None:
    path = tmp_path / "teacher.safetensors"
    write_teacher(path)
    alone = small_config(f"training.teacher={path}", "model.generator=null", "prompts.method=user")
    more = small_config(
        *ALONE, f"training.teacher={path}", "model.generator.channels=[foreground,boundary,center]"
    )
    missing = small_config(*ALONE, f"training.teacher={tmp_path / 'none.safetensors'}")
    with pytest.raises(ConfigError, match=r"model\.generator is null"):
        load_teacher(alone)
    with pytest.raises(ConfigError, match="maps of foreground, boundary, wanted center"):
        load_teacher(more)
    with pytest.raises(ModelError, match=r"none\.safetensors"):
        load_teacher(missing)
