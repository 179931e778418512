"""What changes from step to step."""

import math
from typing import Literal


def learning_rate(
    step: int,
    *,
    steps: int,
    warmup: float,
    peak: float,
    schedule: Literal["cosine", "constant"] = "cosine",
    floor: float = 0.01,
) -> float:
    """Linear warm-up, then half a cosine down to ``floor`` × ``peak``, or ``peak`` to the end.

    Parameters
    ----------
    step : int
        From 0 to ``steps`` − 1.
    steps : int
    warmup : float
        Fraction of the steps.
    peak : float
    schedule : {"cosine", "constant"}
    floor : float

    Returns
    -------
    float
    """
    rising = max(1, round(warmup * steps))
    if step < rising:
        return peak * (step + 1) / rising
    if schedule == "constant":
        return peak
    progress = (step - rising) / max(1, steps - rising)
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))


def predicted_share(step: int, *, steps: int, between: tuple[float, float], final: float) -> float:
    """Share of tiles that the generator prompts: 0 before ``between``, then rising linearly to ``final``."""
    start, end = between[0] * steps, between[1] * steps
    if step >= end:
        return final
    if step <= start:
        return 0.0
    return final * (step - start) / (end - start)
