"""Our own UNet: tensor by tensor and bit by bit the one of segmentation-models-pytorch."""

import pytest
import segmentation_models_pytorch as smp
import torch

from autosam.config import LITE1_ENCODER as LITE1
from autosam.models.generator.light_unet import LIGHT_ENCODERS, LightUnet


def pair(encoder: str, depth: int, channels: tuple[int, ...]) -> tuple[LightUnet, torch.nn.Module]:
    made = []
    for build in (LightUnet, smp.Unet):
        torch.manual_seed(5)
        if build is smp.Unet:
            unet = smp.Unet(
                encoder, encoder_depth=depth, encoder_weights=None, decoder_channels=channels, classes=2
            )
        else:
            unet = LightUnet(encoder, depth=depth, decoder_channels=channels, classes=2)
        # As many random numbers were drawn.
        made.append((unet, torch.rand(1)))
    (own, drawn), (theirs, expected) = made
    assert torch.equal(drawn, expected)
    return own, theirs


def kept(own: LightUnet, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Leave out what no output needs."""
    left_out = tuple(f"encoder.{name}" for name in own.encoder.left_out)
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(left_out)}


@pytest.mark.parametrize("encoder", LIGHT_ENCODERS)
@pytest.mark.parametrize("depth", [3, 4, 5])
def test_the_same_names_random_weights_and_outputs(encoder: str, depth: int) -> None:
    own, theirs = pair(encoder, depth, (40, 24, 16, 12, 8)[:depth])
    ours, wanted = own.state_dict(), kept(own, theirs.state_dict())
    assert (len(wanted) < len(theirs.state_dict())) == (encoder == LITE1 and depth < 5)
    assert list(ours) == list(wanted)
    assert all(torch.equal(ours[name], wanted[name]) for name in wanted)
    assert [name for name, _ in own.named_parameters()] == list(kept(own, dict(theirs.named_parameters())))
    assert list(own.encoder.out_channels) == list(theirs.encoder.out_channels)
    image = torch.randn(2, 3, 64, 96)
    for mode in (True, False):
        own.train(mode)
        theirs.train(mode)
        # New blocks would be the identity.
        for network in (own, theirs):
            torch.manual_seed(1)
            for name, tensor in kept(own, dict(network.named_parameters())).items():
                if name.endswith("bn2.weight"):
                    torch.nn.init.uniform_(tensor)
        # With gradients: without them layers are fused, which rounds differently.
        expected = theirs(image)
        assert torch.equal(own(image), expected)
        for ours_, theirs_ in zip(own.encoder(image), theirs.encoder(image), strict=True):
            assert torch.equal(ours_, theirs_)
        with torch.no_grad():
            fused = own(image)
        torch.testing.assert_close(fused, theirs(image), rtol=1e-4, atol=1e-4 * expected.abs().max().item())
    # Running statistics have learned the same.
    wanted = kept(own, theirs.state_dict())
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in own.state_dict().items())


@pytest.mark.parametrize("encoder", ["tu-resnet18", LITE1])
@pytest.mark.parametrize("shape", [(64, 64), (37, 51)])
def test_the_same_gradients(encoder: str, shape: tuple[int, int]) -> None:
    own, theirs = pair(encoder, 3, (16, 8, 8))
    image = torch.randn(1, 3, *shape)
    for network in (own, theirs):
        network(image).square().mean().backward()
    wanted = dict(theirs.named_parameters())
    for name, parameter in own.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name].grad)


@pytest.mark.parametrize("encoder", ["tu-resnet18", LITE1])
def test_sides_that_are_no_multiple_of_the_stride(encoder: str) -> None:
    own, theirs = pair(encoder, 4, (16, 8, 8, 8))
    image = torch.randn(1, 3, 37, 51)
    assert torch.equal(own.eval()(image), theirs.eval()(image))


@pytest.mark.parametrize("encoder", LIGHT_ENCODERS)
def test_another_depth_is_refused(encoder: str) -> None:
    with pytest.raises(ValueError, match="depth is 6"):
        LightUnet(encoder, depth=6, decoder_channels=(8,) * 6, classes=1)
