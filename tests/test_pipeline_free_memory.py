"""Freed memory goes back for large images alone."""

import pytest

from autosam.pipeline import free_memory
from autosam.pipeline.free_memory import LARGE, give_back


def test_large_images_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(free_memory, "_trim", lambda: asked.append)
    give_back(LARGE - 1)
    assert asked == []
    give_back(LARGE)
    assert asked == [0]


def test_without_glibc_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_memory.sys, "platform", "win32")
    free_memory._trim.cache_clear()
    try:
        assert free_memory._trim() is None
        give_back(LARGE)
    finally:
        free_memory._trim.cache_clear()
