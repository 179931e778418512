"""How many steps fit into the minutes that a user gives."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

TIMED = 10
"""Steps after which minutes become steps. They are the same for any number of steps in all."""

MOST_STEPS = 100_000
"""What stands for the number of steps until it is known."""

VALIDATIONS = 4
"""Of a run, evenly spaced, the last one at its end."""


@dataclass
class Budget:
    """What there is of time.

    Attributes
    ----------
    minutes : float
        From the start on.
    began : float
        When that was, by ``clock``.
    beside : float
        Seconds that will be needed beside the steps, after the tenth.
    """

    minutes: float
    began: float
    beside: float = 0.0
    clock: Callable[[], float] = time.monotonic

    def steps(self, seconds: list[float]) -> int:
        """Give the number of steps, of which the first ten took ``seconds`` each."""
        # The first ones start processes and allocate memory.
        each = max(1e-6, median(seconds[TIMED // 3 :]))
        left = 60 * self.minutes - (self.clock() - self.began) - self.beside
        return TIMED + max(0, int(left / each))


def validation_steps(steps: int) -> list[int]:
    """Give the steps after which a run of so many validates; none among the first ten but the last."""
    places = {round(steps * number / VALIDATIONS) for number in range(1, VALIDATIONS + 1)}
    return sorted(place for place in places if place > TIMED or place == steps)
