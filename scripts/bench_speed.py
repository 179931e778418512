"""Measure the table "Speed" of docs/benchmarks.md: autosam beside what users know, row by row, in one run.

    python scripts/bench_speed.py --json speed.json --peers peers/bin/python --data DATA
    python scripts/bench_speed.py --json start.json --only start busy --anyway
    python scripts/compare_benchmarks.py before.json speed.json

``--peers`` is the Python of an environment with StarDist and Cellpose (how to make it says `bench_peers.py`), and
DATA a folder with dsb2018, dsb2018_extra, bbbc039 and monuseg. Rows that lack what they need are left out and
told. Nothing else should run on the machine: above a load of .5 the script stops, unless ``--anyway`` is given.

Seconds are the least of the repetitions after a warm-up, where a row does not say otherwise. The JSON file is
written anew after every row, so that an interrupted run keeps what it has.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench_harness import Bench, Row, SkippedError
from bench_rows import ROWS
from bench_timing import commit, load, machine, versions, write_json

from autosam import __version__

QUIET = 0.5
"""Load of a machine that does nothing."""
PACKAGES = ("torch", "numpy", "scipy", "scikit-image", "segment-anything")


def line(row: Row) -> str:
    """Say in one line what was measured, what was wanted, and whether it was missed."""
    if row.wanted is None:
        return f"{row.name:<32}{row.value:>9.3g} {row.unit}"
    held = "" if row.value <= row.wanted else "  MISSED"
    return f"{row.name:<32}{row.value:>9.3g} {row.unit:<5} wanted {row.wanted:g}{held}"


def measure(
    bench: Bench,
    rows: Mapping[str, Callable[[Bench], Iterator[Row]]],
    record: dict[str, Any],
    save: Callable[[Mapping[str, Any]], None],
) -> None:
    """Measure rows into a record, which is saved after each."""
    for name, row_of in rows.items():
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            for row in row_of(bench):
                record["rows"].append(asdict(row))
                record["versions"]["peers"] = bench.peer_versions
                save(record)
                print(f"  {line(row)}", flush=True)
        except SkippedError as reason:
            record["skipped"][name] = str(reason)
            save(record)
            print(f"  {name}: left out, {reason}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument("--peers", metavar="PYTHON", help="of the environment of the peers")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="published data, for the real images")
    parser.add_argument("--only", nargs="+", choices=tuple(ROWS), metavar="NAME", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--threads", type=int, default=2, help="of each process (default: 2)")
    parser.add_argument("--repeats", type=int, default=5, help="of each time (default: 5)")
    parser.add_argument("--anyway", action="store_true", help="measure although the machine is busy")
    options = parser.parse_args(arguments)

    busy = load()
    if busy is not None and busy > QUIET:
        print(f"the load is {busy:g}; figures need a machine at rest (at most {QUIET:g})", file=sys.stderr)
        if not options.anyway:
            print("end other programs and wait a few minutes, or give --anyway", file=sys.stderr)
            return 2
    record: dict[str, Any] = {
        "commit": commit(),
        "machine": machine(options.threads),
        "versions": versions(PACKAGES) | {"autosam": __version__},
        "rows": [],
        "skipped": {},
    }
    chosen = {name: ROWS[name] for name in ROWS if options.only is None or name in options.only}
    with tempfile.TemporaryDirectory(prefix="bench_speed_") as folder:
        bench = Bench(Path(folder), options.threads, options.repeats, options.peers, options.data)
        measure(bench, chosen, record, lambda found: write_json(options.json, found))
    return 1 if record["skipped"] else 0


if __name__ == "__main__":
    # A signal ends what runs for a row, too, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    raise SystemExit(main())
