"""Devices and number formats."""

import pytest
import torch

from autosam.errors import ConfigError
from autosam.models.precision import autocast, choose_device, use_bfloat16

CPU = torch.device("cpu")


def test_the_cpu_is_always_there():
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize(("found", "kind"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_a_gpu_where_there_is_one(monkeypatch, found, kind):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found)
    assert choose_device("auto").type == kind


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
