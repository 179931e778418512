"""Where the commands talk to a person: stderr, so that stdout stays free for results."""

from rich.console import Console

console = Console(stderr=True, highlight=False, soft_wrap=True)
