"""How good is a recipe in a laboratory that it has never seen? Train it without one source, and score it there.

    python scripts/study_sources.py train RECIPE.yaml DATA OUT              # once without each source
    python scripts/study_sources.py train RECIPE.yaml DATA OUT --without none hela monuseg+monuseg_extra
    python scripts/study_sources.py score OUT/RECIPE DATA --log log.csv     # its runs
    python scripts/study_sources.py score mito DATA --log log.csv --recipe RECIPE.yaml   # or any model
    python scripts/study_sources.py peer RECIPE.yaml DATA OUT --log log.csv --seconds 900
    python scripts/study_sources.py table log.csv
    python scripts/study_sources.py score OUT/RECIPE DATA --log grid.csv --set prompts.foreground=0.4,0.5,0.6
    python scripts/study_sources.py tune grid.csv RECIPE

A recipe is a config whose ``data.sources`` are the sources. Of a folder whose index.csv tells modalities, a source
FOLDER_MODALITY has the images of one. A source without val images in the split gives some of its training images,
evenly spaced. `train` makes OUT/RECIPE/SOURCE, skips what is finished, and goes on with what was interrupted.

`score` counts 2D objects: abroad, all images of a source that a model lacks; at home, the val images of one that
it has. `table` pools the images of a source and averages over sources. `tune` chooses thresholds for each left-out
source by the scores of the others. docs/explanation/sources.md tells more.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from script_arguments import positive

from autosam.errors import AutosamError


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    try:
        given.run(given)
    except AutosamError as error:
        print(f"study_sources: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser("train", help="train a recipe without each of its sources")
    peer = commands.add_parser("peer", help="train and score a plain UNet with watershed in the same way")
    for command, run in ((train, _train), (peer, _peer)):
        command.set_defaults(run=run)
        command.add_argument("recipe", type=Path)
        command.add_argument("data", type=Path)
        command.add_argument("out", type=Path)
        command.add_argument(
            "--without", nargs="+", default=[], metavar="SOURCE", help="a run lacks SOURCE, or A+B"
        )
    train.add_argument("--jobs", type=positive, default=1, help="runs at once")
    peer.add_argument("--seconds", type=float, required=True, help="CPU time of a training")
    score = commands.add_parser("score", help="score runs, or a model")
    score.set_defaults(run=_score)
    score.add_argument("what", help="folder OUT/RECIPE, a model file, or the name of a bundled model")
    score.add_argument("data", type=Path)
    score.add_argument("--recipe", type=Path, help="the sources; by default OUT/RECIPE/recipe.yaml")
    score.add_argument("--without", nargs="+", default=[], metavar="RUN", help="only these runs")
    score.add_argument("--home", nargs="+", default=[], metavar="SOURCE", help="what a model was trained on")
    score.add_argument("--name", help="name of a model in the log")
    score.add_argument(
        "--set", action="append", default=[], metavar="KEY=V1,V2", help="each combination is scored"
    )
    score.add_argument("--device", default="cpu")
    for command in (score, peer):
        command.add_argument("--log", type=Path, required=True)
        command.add_argument("--images", type=positive, metavar="N", help="most images of each source")
        command.add_argument("--again", action="store_true", help="score what was scored before, too")
    for command in (train, score, peer):
        command.add_argument("--stores", type=Path, help="folder of the sources that are stores")
    table = commands.add_parser("table", help="means over sources with intervals, and differences")
    table.set_defaults(run=_table)
    table.add_argument("log", type=Path)
    table.add_argument(
        "--recipes", nargs="+", default=[], help="only these; the others are compared with the first"
    )
    table.add_argument("--setting", default="", help="as the log has it; all for every one")
    tune = commands.add_parser("tune", help="cross-fit settings over sources")
    tune.set_defaults(run=_tune)
    tune.add_argument("log", type=Path)
    tune.add_argument("recipe")
    for command in (table, tune):
        command.add_argument("--resamples", type=positive, default=1000)
    return parser


def _train(given: argparse.Namespace) -> None:
    from sources_data import read_study
    from sources_runs import train_runs

    study = read_study(given.recipe, given.data, stores=given.stores)
    train_runs(study, given.out / given.recipe.stem, given.without or study.names, jobs=given.jobs)


def _score(given: argparse.Namespace) -> None:
    from sources_data import read_study
    from sources_runs import MODEL, RECIPE, SPLIT, runs_in

    from autosam.errors import ConfigError

    folder = Path(given.what)
    if folder.is_dir():
        split = folder / SPLIT
        runs = {path / MODEL: folder.resolve().name for path in runs_in(folder, given.without).values()}
        recipe = given.recipe or folder / RECIPE
    else:
        from autosam.models.files.zoo import resolve_model

        path = resolve_model(given.what)
        if given.recipe is None:
            raise ConfigError(f"{path.name} alone does not tell which sources there are; give --recipe FILE.yaml")
        split, recipe = Path(), given.recipe
        runs = {path: given.name or path.stem}
    study = read_study(recipe, given.data, stores=given.stores, split=split if split.is_file() else None)
    from sources_score import describe_model, score_model, settings_of

    models = [describe_model(study, path, recipe=name, home=given.home) for path, name in runs.items()]
    for model in models:
        settings_of(model, given.set)
    options = {"given": given.set, "most": given.images, "again": given.again, "device": given.device}
    for model in models:
        score_model(model, study, given.log, **options)


def _peer(given: argparse.Namespace) -> None:
    from sources_data import read_study
    from sources_log import cpu_seconds, scored

    study = read_study(given.recipe, given.data, stores=given.stores)
    runs = {run: study.lacking(run) for run in given.without or study.names}
    scored(given.log)
    from sources_peer import NAME, score_peer, train_peer
    from sources_score import Model

    for run, lacks in runs.items():
        folder = given.out / NAME / run
        path = train_peer(study, run, folder, seconds=given.seconds)
        model = Model(NAME, path, lacks, cpu_seconds(folder))
        score_peer(model, study, given.log, most=given.images, again=given.again)


def _table(given: argparse.Namespace) -> None:
    from sources_log import read_log
    from sources_table import choose_rows, write_tables

    setting = None if given.setting == "all" else given.setting
    groups = choose_rows(read_log(given.log), given.recipes, setting)
    print("\n".join(write_tables(groups, resamples=given.resamples)))


def _tune(given: argparse.Namespace) -> None:
    from sources_log import read_log
    from sources_tune import cross_fit

    print("\n".join(cross_fit(read_log(given.log), given.recipe, resamples=given.resamples)))


if __name__ == "__main__":
    sys.exit(main())
