"""Pictures of results."""

from autosam.report.overlay import draw_overlay

__all__ = ["draw_overlay"]
