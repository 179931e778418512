"""`autosam train` on a store that `autosam data` imported and split."""

import sys
from pathlib import Path

import pytest
from blobs import SMALL, write_discs

from autosam.cli import main
from autosam.training.run.run_folder import MODEL

pytestmark = pytest.mark.usefixtures("few_windows")

STEPS = ("training.steps=2", "training.validate_every=2", "training.checkpoint_every=2")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["autosam", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), capsys.readouterr().err

    return run


def test_from_a_folder_pair_over_a_store_to_a_model(command, tmp_path: Path) -> None:
    data, path, out = write_discs(tmp_path / "data", 5), tmp_path / "discs.h5", tmp_path / "run"
    assert command("data", "import", data, "-o", path)[0] == 0
    sets = [part for setting in (*SMALL, *STEPS) for part in ("--set", setting)]
    # The bundled base of the recipe is for tiles of 512 pixels.
    sets += ["--set", "model.sam.base=null"]
    train = ("train", path, "-o", out, "--config", "joint", "--device", "cpu", *sets)
    status, printed = command(*train)
    assert status == 2
    assert printed.splitlines()[-1] == f"autosam: {path} is not split; divide it with `autosam data split {path}`."
    assert not out.exists()
    # All discs lie on one grid, so that the images look like slices of a stack.
    assert command("data", "split", path, "--by", "random", "--force")[0] == 0
    status, printed = command(*train)
    assert status == 0, printed
    assert "3 training and 1 validation images, 27 objects to learn from; on cpu" in printed
    assert (out / MODEL).is_file()
