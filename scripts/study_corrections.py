"""How fast a model learns from corrections: a simulated annotator, who knows the truth, corrects and adapts.

    python scripts/study_corrections.py run TABLE.csv CASE --data DATA --model MODEL [--name no_hela] \\
        [--curves none doubt random whole all peer:doubt] [--counts 10 25 50 100 200] [--steps 100] [--work FOLDER]
    python scripts/study_corrections.py time TABLE.csv
    python scripts/study_corrections.py plot TABLE.csv PICTURE.png

`run` segments the images of a case that are to be learnt from, and finds doubts. The annotator puts right one crop
of the review page after the other: by doubt, at random, or part by part of whole images. After each number of
corrections they are applied, the model is adapted, and the images that were left aside are scored. `none` is the
model as it is, `all` learns from all labels of these images at once. `peer:` before an order is a UNet with a
watershed that is trained from random weights on the same labels. Each point is a row of TABLE.csv, and is not
computed again.

`time` prints clicks per object, and estimates the time that is saved, with its assumptions. `plot` draws the
curves. Cases are in scripts/corrections.yaml; --cases names another file, such as scripts/slices.yaml, whose cases
are a few slices that are labeled in full.
"""

import argparse
import os
import sys
from pathlib import Path

from script_arguments import positive

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

CURVES = ("none", "doubt", "random", "whole", "all", "peer:doubt", "peer:random", "peer:whole", "peer:all")


def main() -> int:
    """Run a command; an error of the user is one line and exit status 2."""
    from autosam.errors import AutosamError

    given = _parser().parse_args()
    try:
        given.run(given)
    except AutosamError as error:
        print(f"study_corrections: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="compute points of curves")
    run.set_defaults(run=_run)
    run.add_argument("table", type=Path)
    run.add_argument("case", help="name of a case")
    run.add_argument("--cases", type=Path, default=Path(__file__).with_name("corrections.yaml"))
    run.add_argument("--data", type=Path, required=True, help="the folder that cases are relative to")
    run.add_argument("--model", required=True, help="a model that never saw the source: a file, or a bundled one")
    run.add_argument("--name", help="of the model in the table; by default that of its file")
    run.add_argument(
        "--curves", nargs="+", default=["none", "doubt", "random", "all"], choices=CURVES, metavar="CURVE"
    )
    run.add_argument("--counts", nargs="+", type=positive, default=[10, 25, 50, 100, 200], metavar="N")
    run.add_argument("--steps", type=positive, default=100, help="of each adaptation")
    run.add_argument("--peer-steps", type=positive, default=300, help="of each training of the peer")
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="for adaptations")
    run.add_argument("--work", type=Path, help="folder of images, results and models; by default beside the table")
    run.add_argument("--threads", type=positive, default=1)
    times = commands.add_parser("time", help="clicks per object, and time saved")
    times.set_defaults(run=_time)
    times.add_argument("table", type=Path)
    plot = commands.add_parser("plot", help="draw the curves")
    plot.set_defaults(run=_plot)
    plot.add_argument("table", type=Path)
    plot.add_argument("picture", type=Path)
    plot.add_argument("--slices", action="store_true", help="curves of slices that are labeled in full")
    return parser


def _run(given: argparse.Namespace) -> None:
    import torch
    from corrections_images import Prepared, read_case
    from corrections_points import Learning, Study

    from autosam.models.files.zoo import resolve_model

    torch.set_num_threads(given.threads)
    case = read_case(given.cases, given.case, given.data)
    model = resolve_model(given.model)
    work = given.work or given.table.with_suffix("")
    learning = Learning(given.steps, given.peer_steps, given.seed, tuple(given.set))
    prepared = Prepared.make(case, given.data, work / given.case)
    study = Study(prepared, model, given.name or model.stem, given.table, learning)
    for curve in given.curves:
        learner, _, order = curve.rpartition(":")
        study.run(learner or "adapt", order, given.counts)


def _time(given: argparse.Namespace) -> None:
    from corrections_log import read_rows
    from corrections_time import estimates

    print("\n".join(estimates(read_rows(given.table))))


def _plot(given: argparse.Namespace) -> None:
    from corrections_log import read_rows
    from corrections_plot import draw_curves, write_figure
    from slices_plot import draw_slices

    draw = draw_slices if given.slices else draw_curves
    write_figure(draw(read_rows(given.table)), given.picture)


if __name__ == "__main__":
    sys.exit(main())
