"""Which packages a command imports, and what they cost: the ten dearest.

    python scripts/import_times.py segment IMAGE -o RESULTS --model nuclei

Runs `autosam` with these arguments under ``python -X importtime`` and adds up by package. ``own`` is the time in
the package's own modules; ``with all`` is that of everything that it was the first to import, too. Python itself
is one package. Importing takes longer while it is measured: compare packages, not seconds.
"""

import subprocess
import sys
from collections import defaultdict

MOST = 10
COMMAND = "import sys; from autosam.cli import main; sys.argv[0] = 'autosam'; main()"


def import_log(arguments: list[str]) -> list[str]:
    """Run a command; give what Python says of each import."""
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", COMMAND, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    lines = ran.stderr.splitlines()
    said = [line for line in lines if not line.startswith("import time:")]
    if ran.returncode:
        sys.exit(f"the command ended with status {ran.returncode}: {' '.join(said)}")
    return [line for line in lines if line.startswith("import time:")]


def by_package(lines: list[str]) -> dict[str, tuple[float, float]]:
    """Add up seconds by package, own ones and with all that it imports."""
    own: dict[str, float] = defaultdict(float)
    whole: dict[str, float] = defaultdict(float)
    above: list[str] = []
    # A module stands below those that it imports, two columns further left.
    for line in reversed(lines):
        fields = line.removeprefix("import time:").split("|")
        if not fields[0].strip().isdigit():
            continue
        name = fields[2].strip()
        depth = (len(fields[2]) - len(fields[2].lstrip()) - 1) // 2
        package = _package(name)
        del above[depth:]
        own[package] += int(fields[0]) / 1e6
        if package not in above:
            whole[package] += int(fields[1]) / 1e6
        above.append(package)
    return {package: (own[package], whole[package]) for package in own}


def _package(module: str) -> str:
    first = module.split(".")[0]
    return "python" if first in sys.stdlib_module_names else first


def main(arguments: list[str]) -> None:
    """Print a table."""
    if not arguments:
        sys.exit("give the arguments of autosam, such as: segment IMAGE -o RESULTS")
    found = by_package(import_log(arguments))
    print(f"{'package':28} {'own s':>8} {'with all s':>11}")
    for package, (own, whole) in sorted(found.items(), key=lambda item: -item[1][1])[:MOST]:
        print(f"{package:28} {own:8.3f} {whole:11.3f}")
    print(f"{'all':28} {sum(own for own, _ in found.values()):8.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
