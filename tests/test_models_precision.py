"""Devices and number formats."""

import numpy as np
import pytest
import torch
from blobs import disc_tiles, small_config, total_loss
from torch.utils._python_dispatch import TorchDispatchMode

from autosam.errors import ConfigError
from autosam.models.networks import build_networks
from autosam.models.precision import autocast, choose_device, use_bfloat16
from autosam.pipeline.segmenter import Segmenter
from autosam.prompts import Prompt
from autosam.training.joint import JointModel

CPU = torch.device("cpu")


def test_the_cpu_is_always_there():
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize(
    ("cuda", "mps", "kind"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_cuda_then_mps_then_the_cpu(monkeypatch, cuda, mps, kind):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device("auto").type == kind


class Float64(TorchDispatchMode):
    """Notes every operation that gives a tensor of float64, which MPS does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        answer = func(*args, **(kwargs or {}))
        for value in answer if isinstance(answer, tuple | list) else (answer,):
            if isinstance(value, torch.Tensor) and value.dtype == torch.float64:
                self.found.add(str(func))
        return answer


def test_segmenting_needs_no_float64():
    config = small_config()
    networks = build_networks(config.model)
    for network in networks.parts:
        network.eval()
    image = np.random.default_rng(0).integers(0, 255, (70, 90), dtype=np.uint8)
    segmenter = Segmenter(networks, config)
    prompt = Prompt(np.array([[20.0, 30.0]]), np.array([1]), box=np.array([5.0, 5, 40, 50]))
    with Float64() as seen:
        segmenter.segment(image, prompts=[prompt])
    assert not seen.found


def test_a_training_step_needs_no_float64():
    config = small_config()
    model = JointModel(build_networks(config.model), prompts=config.prompts, training=config.training)
    images, labels = disc_tiles()
    with Float64() as seen:
        loss = model(images, labels, user_prompts=((), ()), predicted_share=0.5, seed=(0, 0))
        total_loss(loss).backward()
    assert not seen.found


@pytest.mark.parametrize(
    "name", ["", "gpu", "CPU", "meta", "hpu", "privateuseone", "mkldnn", "0", "auto:1", "cpu,cuda"]
)
def test_an_unknown_device_is_refused_with_those_that_are_known(name):
    with pytest.raises(ConfigError, match="unknown; choose auto, cpu, cuda, mps, xpu") as caught:
        choose_device(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", ["cuda:x", "cuda:-1", "cuda:", "cuda:4096", "cpu:cpu"])
def test_a_device_that_cannot_be_had_is_refused_in_one_line(name):
    with pytest.raises(ConfigError, match=r"cannot be used \(.+\); try --device cpu or --device auto") as caught:
        choose_device(name)
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_no_gpu_is_no_traceback():
    with pytest.raises(ConfigError, match="device 'cuda' cannot be used"):
        choose_device("cuda")


def test_precision_by_name_holds_everywhere():
    for kind in ("cpu", "cuda", "mps"):
        assert use_bfloat16(torch.device(kind), "bfloat16")
        assert not use_bfloat16(torch.device(kind), "float32")


def test_auto_never_takes_bfloat16_where_nothing_is_known_of_it():
    assert not use_bfloat16(torch.device("mps"), "auto")


def test_auto_asks_the_gpu(monkeypatch):
    for supported in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, answer=supported: answer)
        assert use_bfloat16(torch.device("cuda"), "auto") is supported


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_autocast_on_the_cpu(precision, dtype):
    layer = torch.nn.Linear(4, 4)
    ones = torch.ones(2, 4)
    with autocast(CPU, precision):
        assert layer(ones).dtype == dtype
        assert (ones @ ones.T).dtype == dtype
    assert layer(ones).dtype == torch.float32


def test_auto_on_the_cpu_is_one_of_both():
    with autocast(CPU, "auto"):
        dtype = (torch.ones(2, 4) @ torch.ones(4, 2)).dtype
    assert dtype == (torch.bfloat16 if use_bfloat16(CPU, "auto") else torch.float32)
