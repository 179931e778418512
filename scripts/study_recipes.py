"""Compare the recipes: train each from the same weights for about the same CPU time, and make table and curves.

    python scripts/study_recipes.py train DATA OUT --base MODEL --data-section data.yaml [--only joint sac ...]
    python scripts/study_recipes.py table OUT docs

`train` runs `autosam train` for every recipe and every variant of `joint`, two at a time with one thread each;
runs that are finished are not repeated, interrupted ones go on. `--base` is a model file with the SAM that all
start from, `--data-section` a YAML file with the `data` section. `table` reads the runs' logs, writes
`recipes.csv` and `recipes.png`, and prints the tables of docs/benchmarks.md.
"""

import argparse
import csv
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib
import yaml

from autosam.models.files.checkpoint import read_header

# Steps that take about 20 minutes of CPU time on one thread of the machine that they were measured on.
STEPS = {
    "joint": 350,
    "sac": 520,
    "generator": 880,
    "adapter": 500,
    "em_sam": 950,
    "medsam": 900,
    "decoder": 2000,
}
# `joint` with one ingredient changed; short runs, which therefore start from the generator of the run `generator`.
ABLATIONS = {
    "joint_short": [],
    "ground_truth_prompts_only": ["training.predicted_share=0"],
    "overlap_matching": ["training.matching=overlap"],
    "unmatched_left_out": ["training.unmatched=false"],
    "no_corrections": ["training.corrections=0"],
    "no_soft_mask": ["training.soft_mask=false"],
}
ABLATION_STEPS = 40
AT_ONCE = 2
SCORES = ("dice", "iou", "f1", "ap50", "ap75", "mean_ap", "a_rand")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train")
    train.add_argument("data", type=Path)
    train.add_argument("out", type=Path)
    train.add_argument("--base", required=True, help="model file, or the name of a bundled model")
    train.add_argument("--data-section", type=Path, required=True, help="YAML file with the data section")
    train.add_argument("--only", nargs="*", choices=[*STEPS, *ABLATIONS], help="just these runs")
    table = commands.add_parser("table")
    table.add_argument("out", type=Path)
    table.add_argument("docs", type=Path)
    args = parser.parse_args()
    if args.command == "train":
        run_all(args.data, args.out, args.base, args.data_section, args.only or [*STEPS, *ABLATIONS])
    else:
        write_tables(args.out, args.docs)


def run_all(data: Path, out: Path, base: str, section: Path, names: list[str]) -> None:
    """Run what is not finished, some at a time."""
    out.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    running: list[subprocess.Popen[bytes]] = []
    for name in names:
        if finished(out / name):
            continue
        # The ablations start from what the recipes have trained.
        at_once = 0 if name == next(iter(ABLATIONS)) else AT_ONCE - 1
        while len(running) > at_once:
            time.sleep(1)
            running = [process for process in running if process.poll() is None]
        command = ["autosam", "train", str(data), "-o", str(out / name)]
        if (out / name / "last.pt").is_file():
            command.append("--resume")
        else:
            command += settings_of(name, out, base, section)
        log = (out / f"{name}.log").open("ab")
        running.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment))
        print(f"{time.strftime('%H:%M')} {name}", flush=True)
    for process in running:
        process.wait()
    if not all(finished(out / name) for name in names):
        sys.exit("some runs have failed: see their logs")


def settings_of(name: str, out: Path, base: str, section: Path) -> list[str]:
    """Give a run's options for `autosam train`."""
    recipe, steps = ("joint", ABLATION_STEPS) if name in ABLATIONS else (name, STEPS[name])
    sources = yaml.safe_load(section.read_text(encoding="utf-8"))["data"]
    chosen = [f"data.{key}={yaml.safe_dump(value, default_flow_style=True)}" for key, value in sources.items()]
    chosen += [f"training.steps={steps}", f"training.validate_every={steps if name in ABLATIONS else steps // 4}"]
    if recipe != "generator":
        chosen.append(f"model.sam.base={base}")
    if name in ABLATIONS:
        generator = out / "generator" / "model.safetensors"
        chosen += [f"model.generator.base={generator}", "training.predicted_between=[0, 0.2]", *ABLATIONS[name]]
    return ["--config", recipe, *(part for setting in chosen for part in ("--set", setting))]


def finished(run: Path) -> bool:
    """Whether the log of a run reaches its last step and a model is there."""
    if not (run / "model.safetensors").is_file():
        return False
    steps = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["training"]["steps"]
    return bool(rows_of(run / "validation.csv")) and int(rows_of(run / "validation.csv")[-1]["step"]) == steps


def rows_of(path: Path) -> list[dict[str, str]]:
    """Read a CSV log; none where it is missing."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summary(run: Path) -> dict[str, Any]:
    """Bring the logs of a run into one row."""
    log, validation = rows_of(run / "log.csv"), rows_of(run / "validation.csv")
    box = "box_" if "box_mean_ap" in validation[-1] else ""
    best = max(validation, key=lambda row: float(row[f"{box}mean_ap"]))
    seconds = sorted(float(row["seconds"]) for row in log)
    return {
        "run": run.name,
        "prompts": "boxes of the truth" if box else "its own",
        **{score: float(best[box + score]) for score in SCORES},
        "generator_mean_ap": float(best.get("generator_mean_ap", "nan")),
        "trained_parameters": read_header(run / "model.safetensors").training["trained_parameters"],
        "steps": len(log),
        "seconds_per_step": seconds[len(seconds) // 2],
        "cpu_minutes": round(sum(float(row["cpu_s"]) for row in log) / 60, 1),
        "waited_percent": round(
            100 * sum(float(row["waited_s"]) for row in log) / sum(float(row["seconds"]) for row in log), 2
        ),
        "peak_mb": max(int(row["peak_mb"]) for row in log),
    }


def write_tables(out: Path, docs: Path) -> None:
    """Write the table, draw the curves, print both tables in Markdown."""
    # Runs that somebody started by hand beside these come last.
    others = sorted(path.name for path in out.iterdir() if path.name not in {*STEPS, *ABLATIONS})
    runs = [name for name in (*STEPS, *ABLATIONS, *others) if rows_of(out / name / "validation.csv")]
    if not runs:
        sys.exit(f"{out} holds no run with a validation: train first")
    table = [summary(out / name) for name in runs]
    (docs / "runs").mkdir(parents=True, exist_ok=True)
    with (docs / "runs" / "recipes.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    columns = [column for column in table[0] if column != "waited_percent"]
    for group in (STEPS, ABLATIONS, others):
        print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
        for row in table:
            if row["run"] in group:
                print("| " + " | ".join(shown(row[column]) for column in columns) + " |")
        print()
    draw_curves(out, [name for name in runs if name in STEPS], docs / "recipes.png")


def shown(value: Any) -> str:
    """Write a value as the tables of the docs do."""
    if isinstance(value, float):
        return "" if value != value else f"{value:.3f}".lstrip("0") if abs(value) < 1 else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def draw_curves(out: Path, names: list[str], path: Path) -> None:
    """Draw the loss of every recipe beside its mean AP, against CPU time."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.2), layout="constrained")
    for name in names:
        log, validation = rows_of(out / name / "log.csv"), rows_of(out / name / "validation.csv")
        minutes, spent = {}, 0.0
        losses: list[float] = []
        for row in log:
            spent += float(row["cpu_s"]) / 60
            minutes[row["step"]] = spent
            losses.append(float(row["loss"]))
        window = max(1, len(losses) // 25)
        smooth = [sum(losses[i : i + window]) / window for i in range(0, len(losses) - window + 1, window)]
        times = list(minutes.values())[window - 1 :: window][: len(smooth)]
        left.plot(times, [value / smooth[0] for value in smooth], label=name)
        box = "box_" if "box_mean_ap" in validation[-1] else ""
        right.plot(
            [minutes[row["step"]] for row in validation],
            [float(row[f"{box}mean_ap"]) for row in validation],
            marker="o",
            linestyle="--" if box else "-",
            label=f"{name} (boxes of the truth)" if box else name,
        )
    left.set(xlabel="CPU minutes", ylabel="training loss / its first value", ylim=(0, 1.1))
    right.set(xlabel="CPU minutes", ylabel="mean AP on val", ylim=(0, None))
    figure.legend(*right.get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
