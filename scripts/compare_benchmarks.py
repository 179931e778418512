"""Compare two files of `bench_speed.py`, or write the table of docs/benchmarks.md from one.

    python scripts/compare_benchmarks.py before.json after.json
    python scripts/compare_benchmarks.py before.json after.json --factor 1.1
    python scripts/compare_benchmarks.py speed.json --markdown
    python scripts/compare_benchmarks.py speed.json --page docs/benchmarks.md

Small values are good in every row. With two files the exit status is 1 if a value grew by more than the factor.
``--page`` puts the table between the two comments that stand in the page for it.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- speed: written by scripts/compare_benchmarks.py -->", "<!-- end of speed -->"
FACTOR = 1.25


def read(path: Path) -> dict[str, Any]:
    """Read a file of `bench_speed.py`."""
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as reason:
        raise SystemExit(f"{path}: not read: {reason}") from reason
    if not isinstance(record, dict) or "rows" not in record:
        raise SystemExit(f"{path}: not a file of scripts/bench_speed.py, it has no rows")
    return record


def number(value: float | None, unit: str) -> str:
    """Write a value with three digits; a ratio far below one as a fraction, and nothing for none."""
    if value is None:
        return ""
    if unit == "×" and value < 0.2:
        return f"1/{1 / value:.3g}"
    digits = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    return f"{digits} {unit}"


def compare(before: Mapping[str, Any], after: Mapping[str, Any], factor: float) -> tuple[list[str], list[str]]:
    """Make the lines of a table, and list the names of rows whose value grew by more than the factor."""
    old, new = ({row["name"]: row for row in record["rows"]} for record in (before, after))
    lines = [f"{'':<26}{'before':>12}{'after':>12}{'wanted':>12}{'after/before':>14}"]
    worse = []
    for name in [*old, *(name for name in new if name not in old)]:
        row = new.get(name) or old[name]
        shown = [number(rows[name]["value"], row["unit"]) if name in rows else "-" for rows in (old, new)]
        line = f"{name:<26}{shown[0]:>12}{shown[1]:>12}{number(row['wanted'], row['unit']):>12}"
        if name in old and name in new:
            grown = new[name]["value"] / old[name]["value"]
            line += f"{grown:>14.2f}"
            if grown > factor:
                worse.append(name)
                line += "  WORSE"
        lines.append(line)
    return lines, worse


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Say where two records are not from the same kind of machine."""
    names = ("processor", "cores", "threads", "omp_wait_policy")
    pairs = [(name, before["machine"].get(name), after["machine"].get(name)) for name in names]
    return [f"{name}: {old} before, {new} after" for name, old, new in pairs if old != new]


def markdown(record: Mapping[str, Any]) -> str:
    """Write the rows as a table in Markdown, and below it what they were measured with."""
    lines = [
        "| what | measured | wanted | seconds of autosam | of what it is compared with |",
        "|---|---|---|---|---|",
    ]
    for row in record["rows"]:
        own, peer = (
            "" if seconds is None else f"{seconds:.3g}"
            for seconds in (row["autosam_seconds"], row["peer_seconds"])
        )
        beside = f"{row['peer']}: {peer}" if peer else ""
        value, wanted = (number(row[key], row["unit"]) for key in ("value", "wanted"))
        value = f"**{value}**" if row["wanted"] is not None and row["value"] <= row["wanted"] else value
        lines.append(f"| {row['what']} | {value} | {wanted} | {own} | {beside} |")
    machine, versions = record["machine"], dict(record["versions"])
    peers = versions.pop("peers", {})
    own = ", ".join(f"{name} {number}" for name, number in versions.items())
    theirs = ", ".join(f"{name} {number}" for name, number in peers.items() if versions.get(name) != number)
    lines += [
        "",
        f"Measured at commit {record['commit']} on {machine['processor']} ({machine['cores']} cores, "
        f"{machine['threads']} threads, load {machine['load']} at the start), with {own}"
        + (f". The peers: {theirs}." if theirs else "."),
        *(f"Not measured: `{name}` ({reason})." for name, reason in record.get("skipped", {}).items()),
    ]
    return "\n".join(lines) + "\n"


def put_into(page: str, table: str) -> str:
    """Put a table between the comments of a page."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"the page lacks the line {BEGIN if not begin else END}")
    return f"{before}{begin}\n\n{table}\n{end}{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, metavar="BEFORE.json", help="or the only file")
    parser.add_argument("after", type=Path, nargs="?", metavar="AFTER.json")
    parser.add_argument(
        "--factor", type=float, default=FACTOR, help=f"that a value may grow by (default: {FACTOR})"
    )
    parser.add_argument("--markdown", action="store_true", help="print one file as a table in Markdown")
    parser.add_argument("--page", type=Path, help="put that table into this page")
    options = parser.parse_args(arguments)

    alone = options.markdown or options.page is not None
    if alone == (options.after is not None):
        parser.error("give two files to compare, or one with --markdown or --page")
    before = read(options.before)
    if options.page is not None:
        page = put_into(options.page.read_text(encoding="utf-8"), markdown(before))
        options.page.write_text(page, encoding="utf-8")
    if options.markdown:
        print(markdown(before), end="")
    if alone:
        return 0
    after = read(options.after)
    for line in differences(before, after):
        print(f"not the same machine, {line}", file=sys.stderr)
    lines, worse = compare(before, after, options.factor)
    print("\n".join(lines))
    return 1 if worse else 0


if __name__ == "__main__":
    raise SystemExit(main())
