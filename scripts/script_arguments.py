"""Types of arguments that several scripts have."""

import argparse


def positive(text: str) -> int:
    """Read a whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} came; give 1 or more")
    return number
