import torch

from autosam.training.average import exponential_average


def test_early_updates_forget_the_first_weights() -> None:
    mean, counter = torch.zeros(2), torch.zeros((), dtype=torch.int64)
    update = exponential_average(0.998)
    for count in range(1, 51):
        update([mean], [torch.ones(2)], count)
        update([counter], [torch.tensor(count)], torch.tensor(count))
    # A constant decay would leave 0.998 ** 50 = 90 % of the zeros; what is left is (2 ... 51) / (11 ... 60).
    assert torch.allclose(mean, torch.ones(2), atol=1e-4)
    assert int(counter) == 50


def test_in_the_long_run_the_decay_is_the_one_asked_for() -> None:
    mean = torch.zeros(1)
    exponential_average(0.9)([mean], [torch.ones(1)], 1000)
    assert torch.allclose(mean, torch.tensor([0.1]))


def test_no_decay_gives_the_current_weights() -> None:
    mean = torch.zeros(1)
    exponential_average(0.0)([mean], [torch.full((1,), 3.0)], 5)
    assert mean.item() == 3.0
