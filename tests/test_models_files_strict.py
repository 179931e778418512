"""Tensors are copied into a part of a model all together or not at all."""

import re

import pytest
import torch
from torch import nn

from autosam.errors import ModelError
from autosam.models.files.strict import copy_tensors


def copy(network, tensors):
    copy_tensors(network.state_dict(), tensors, what="m.safetensors does not fit", advice="get it again")


def test_every_tensor_is_copied_buffers_too():
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    network.requires_grad_(False)
    given = {name: tensor + 1 for name, tensor in network.state_dict().items()}
    copy(network, given)
    state = network.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in given.items())
    assert int(network[1].num_batches_tracked) == 1


def test_parameters_that_train_are_copied_into():
    layer = nn.Linear(3, 2)
    copy(layer, {"weight": torch.ones(2, 3), "bias": torch.zeros(2)})
    assert layer.weight.requires_grad
    assert torch.equal(layer(torch.ones(1, 3)), torch.tensor([[3.0, 3.0]]))


def test_nothing_into_nothing():
    copy_tensors({}, {}, what="", advice="")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bias": None}, "of 2 tensors, 1 (bias) missing: get it again"),
        ({"scale": torch.ones(1)}, "of 2 tensors, 1 (scale) unknown: get"),
        ({"bias": None, "scale": torch.ones(1)}, "1 (bias) missing; 1 (scale) unknown: get"),
        ({"weight": None, "bias": None}, "2 (bias, weight) missing: get"),
        ({"bias": torch.ones(3)}, "1 (bias) of another shape (bias is (3,), wanted (2,)): get it again"),
        ({name: torch.ones(1) for name in "zyxw"}, "4 (w, x, y, ...) unknown"),
    ],
)
def test_on_an_error_nothing_is_changed(change, message):
    layer = nn.Linear(3, 2)
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    given = {name: tensor + 1 for name, tensor in before.items()} | change
    given = {name: tensor for name, tensor in given.items() if tensor is not None}
    with pytest.raises(ModelError, match="^m.safetensors does not fit: .*" + re.escape(message)):
        copy(layer, given)
    assert all(torch.equal(tensor, before[name]) for name, tensor in layer.state_dict().items())
