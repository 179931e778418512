"""Tables of user prompts for a batch; faults are found before the work starts."""

from pathlib import Path

import numpy as np
import pytest

from autosam.errors import ConfigError, InputError
from autosam.images.image_source import ImageSource
from autosam.prompts.user_prompts import open_prompt_tables

SOURCES = [ImageSource(Path(f"{name}.png")) for name in "ab"]
HEADER = "object,row,col,label"


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_one_table_for_all_images(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", f"image,{HEADER}", "a.png,1,2,3,1", "b,1,4,5,1", "b,2,6,7,1")
    prompts = open_prompt_tables(table, SOURCES, required=True)
    assert [len(prompts.of(source, (9, 9))) for source in SOURCES] == [1, 2]
    np.testing.assert_array_equal(prompts.of(SOURCES[0], (9, 9))[0].points, [[2, 3]])
    # The shape is known only when the image is read.
    with pytest.raises(InputError, match="outside the image of 5 × 5"):
        prompts.of(SOURCES[1], (5, 5))
    write(table, f"image,{HEADER}", "a.png,1,2,3,1", "b,1,4,5,1", "b,2,6,8,1")
    assert open_prompt_tables(table, SOURCES, required=True).sha256 != prompts.sha256


def test_a_folder_of_tables(tmp_path: Path) -> None:
    write(tmp_path / "a_prompts.csv", HEADER, "1,2,3,1")
    with pytest.raises(ConfigError, match=r"holds no b_prompts\.csv"):
        open_prompt_tables(tmp_path, SOURCES, required=True)
    prompts = open_prompt_tables(tmp_path, SOURCES, required=False)
    assert [len(prompts.of(source, None)) for source in SOURCES] == [1, 0]


def test_faults_that_a_first_look_finds(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", HEADER, "1,2,3,1")
    with pytest.raises(ConfigError, match="has no column image, and 2 images came"):
        open_prompt_tables(table, SOURCES, required=True)
    assert len(open_prompt_tables(table, SOURCES[:1], required=True).of(SOURCES[0], None)) == 1
    write(table, HEADER)
    with pytest.raises(ConfigError, match="holds no prompt below its header"):
        open_prompt_tables(table, SOURCES[:1], required=True)
    write(table, f"image,{HEADER}", "c.png,1,2,3,1")
    with pytest.raises(ConfigError, match="holds no prompt for any of the images"):
        open_prompt_tables(table, SOURCES, required=False)
