"""The order of the rooms in CONTRIBUTING.md, checked in the source: also imports inside functions count."""

import ast
import subprocess
import sys
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import autosam

ROOT = Path(autosam.__file__).parent
ROOMS = (
    "errors",
    "config",
    "images",
    "metrics",
    "regions",
    "prompts",
    "instances",
    "report",
    "models",
    "pipeline",
    "volumes",
    "data",
    "evaluation",
    "training",
    "studies",
    "review",
    "cli",
)
WITHOUT_TORCH = ("errors", "config", "images", "metrics", "regions", "prompts", "instances", "report", "data")


def name_of(file):
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {name_of(file): ast.parse(file.read_text(encoding="utf-8")) for file in sorted(ROOT.rglob("*.py"))}


def imports_of(tree):
    """Names of everything of autosam that a module imports: modules, or names in the root."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "autosam")
        elif isinstance(node, ast.ImportFrom) and (node.level or node.module.split(".")[0] == "autosam"):
            assert not node.level, "imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in TREES or node.module == "autosam" else node.module


def room_of(module):
    return module.split(".")[1]


# The root gives the public names lazily and stands above all rooms.
GRAPH = {
    name: set(imports_of(tree)) - {"autosam.__version__"} for name, tree in TREES.items() if name != "autosam"
}


def test_every_room_has_its_place():
    assert {room_of(name) for name in GRAPH} == set(ROOMS)


def test_rooms_import_downwards_only():
    upward = {
        (name, other)
        for name, others in GRAPH.items()
        for other in others
        if room_of(other) not in ROOMS or ROOMS.index(room_of(other)) > ROOMS.index(room_of(name))
    }
    assert upward == set()


def test_no_two_modules_import_each_other():
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' → '.join(error.args[1])}")


def test_metrics_are_pure_numpy():
    allowed = sys.stdlib_module_names | {"numpy", "scipy", "autosam"}
    for name, tree in TREES.items():
        if room_of(f"{name}.") != "metrics":
            continue
        found = {room_of(other) for other in GRAPH[name]}
        assert found <= {"errors", "metrics"}, name
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {imported.split(".")[0] for imported in names} <= allowed, name


def test_rooms_of_arrays_do_without_torch():
    modules = [name for name in GRAPH if room_of(name) in WITHOUT_TORCH]
    code = (
        f"import importlib, sys\nfor m in {modules}: importlib.import_module(m)\nsys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_plugin_alone_knows_napari_and_qt():
    for name, tree in TREES.items():
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        found = {one.split(".")[0] for one in names} & {"napari", "npe2", "qtpy", "superqt", "PySide6"}
        assert not found or name.startswith("autosam.review.napari_plugin."), name
        assert not (found and name.endswith(".results_layers")), "the reader does without Qt"


@pytest.mark.parametrize("kind", ["module", "class"])
def test_one_name_means_one_thing(kind):
    places = defaultdict(list)
    for name, tree in TREES.items():
        if kind == "module":
            if not (ROOT.parent / Path(*name.split("."))).is_dir() and room_of(name) != "cli":
                places[name.rsplit(".", 1)[1]].append(name)
        else:
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(name)
    double = {name: found for name, found in places.items() if len(found) > 1}
    assert double == {}
