"""A signal to end that reaches a command, or torch's workers, or both."""

import os
import signal

import pytest

from autosam.cli.interrupts import ending_in_order

TERMINATED = "DataLoader worker (pid 7) is killed by signal: Terminated. "


def end_by(error: Exception) -> None:
    with ending_in_order():
        raise error


def test_a_signal_to_the_command_is_ctrl_c_and_what_torch_says_of_its_workers_then_is_not_heard() -> None:
    def workers_died(*_: object) -> None:
        raise RuntimeError(TERMINATED)

    before = signal.signal(signal.SIGCHLD, workers_died)
    try:
        with pytest.raises(KeyboardInterrupt), ending_in_order():
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGCHLD)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_that_a_signal_ended_a_worker_is_ctrl_c_as_well() -> None:
    with pytest.raises(KeyboardInterrupt):
        end_by(RuntimeError(TERMINATED))
    second = RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly")
    second.__cause__ = RuntimeError(TERMINATED)
    with pytest.raises(KeyboardInterrupt):
        end_by(second)


def test_other_errors_stay_what_they_are() -> None:
    # Such as a worker that the system killed for its memory.
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        end_by(RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"))
