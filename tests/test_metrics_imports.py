import ast
import sys
from pathlib import Path

import autosam.metrics

ALLOWED = {"numpy", "scipy", "h5py", "zarr", "tifffile"}
ROOMS = ("autosam.errors", "autosam.images", "autosam.metrics")


def imports_of(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module if node.module != "autosam" else f"autosam.{node.names[0].name}"


def test_metrics_import_downwards_only():
    files = sorted(Path(autosam.metrics.__file__).parent.glob("*.py"))
    assert len(files) > 15
    wrong = [
        f"{file.name}: {name}"
        for file in files
        for name in imports_of(file)
        if name.split(".")[0] not in sys.stdlib_module_names | ALLOWED
        and not name.startswith(ROOMS)
        and name != "autosam.__version__"
    ]
    assert not wrong
