import pytest

from autosam.errors import InputError
from autosam.evaluation.lists import read_pairs
from autosam.evaluation.pairing import Pair


@pytest.fixture
def folder(tmp_path):
    for name in ("p/a_labels.tif", "p/b.h5", "q/a.tif", "t/a.png", "t/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def write(folder, text):
    file = folder / "pairs.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_paths_start_at_the_folder_of_the_list(folder, monkeypatch):
    monkeypatch.chdir("/")
    # A heading in any order, a byte order mark as Excel writes it, blank lines and columns that nobody reads.
    text = f"\ufefftruth,note,pred\nt/a.png,x, p/a_labels.tif \n\n{folder}/t/b.png,,p/b.h5:/labels/b\n"
    assert read_pairs(write(folder, text)) == [
        Pair("a", f"{folder}/p/a_labels.tif", f"{folder}/t/a.png"),
        Pair("b", f"{folder}/p/b.h5:/labels/b", f"{folder}/t/b.png"),
    ]


def test_a_name_tells_files_of_one_stem_apart(folder):
    pairs = "p/a_labels.tif,t/a.png,one\nq/a.tif,t/a.png,\n"
    assert [p.name for p in read_pairs(write(folder, f"pred,truth,name\n{pairs}"))] == ["one", "a"]


def test_every_fault_is_named_by_its_line(folder):
    lines = ["pred,truth,name", "p/a_labels.tif,t/none.png", "", ",", "q/a.tif,t/a.png", "p/a_labels.tif,t/a.png"]
    lines += ["p/b.h5,t/b.png,x/y", "p,t/b.png"]
    with pytest.raises(InputError) as error:
        read_pairs(write(folder, "\n".join(lines)))
    file = folder / "pairs.csv"
    assert str(error.value) == (
        f"6 faults in {file}: line 2: no file {folder}/t/none.png; line 4: no pred; line 4: no truth; "
        "line 6: the name a is that of line 5; add a column name to tell them apart; "
        f"line 7: the name 'x/y' is no file name; line 8: {folder}/p is a folder, not a label file"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"no column pred and truth \(its columns: none\)"),
        ("pred,labels\n", r"no column truth \(its columns: pred, labels\)"),
        ("pred,truth\n\n", "lists no pairs"),
    ],
)
def test_lists_that_hold_no_pairs(folder, text, message):
    with pytest.raises(InputError, match=message):
        read_pairs(write(folder, text))


def test_lists_that_cannot_be_read(folder):
    with pytest.raises(InputError, match="cannot be read"):
        read_pairs(folder / "none.csv")
    (folder / "latin.csv").write_bytes(b"pred,truth\n\xff,\xfe\n")
    with pytest.raises(InputError, match="cannot be read"):
        read_pairs(folder / "latin.csv")
