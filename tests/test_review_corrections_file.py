"""corrections.csv: what is read, refused, appended and kept."""

import threading

import pytest

from autosam.errors import InputError
from autosam.prompts import read_prompts
from autosam.review.corrections import Correction, fault_in, standing
from autosam.review.corrections_file import (
    COLUMNS,
    append_corrections,
    extend_corrections,
    read_corrections,
    write_corrections,
)

HASH = "sha256:0123456789abcdef"
ALL = [
    Correction("a", "accept", (3, 4), by="model", action_id="1", results=HASH),
    Correction("a", "delete", (9,), by="hand", action_id="2", results=HASH),
    Correction("a", "merge", (5, 6), by="hand", action_id="3"),
    Correction("day1/b", "split", (2,), ((1.0, 2.5), (7.0, 8.0)), (1, 1), by="hand", action_id="4"),
    Correction("a", "redraw", (7,), ((1.0, 2.0),), (0,), box=(0.0, 1.0, 20.0, 30.0), by="sam", action_id="5"),
    Correction("a", "add", points=((4.0, 5.0), (6.0, 7.25)), point_labels=(1, 0), by="sam", action_id="six"),
    Correction("a", "add", mask="1 2 2 2: 1 3", by="hand", action_id="7"),
    Correction("a", "reviewed", box=(0.0, 0.0, 9.0, 9.0), by="hand", action_id="8"),
    Correction("a", "reviewed", by="hand", action_id="9"),
]


def told(error):
    assert "\n" not in str(error.value)
    return str(error.value)


def write(path, *rows):
    path.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n", encoding="utf-8")
    return path


def row(**cells):
    return ",".join(str(cells.get(name, "")) for name in COLUMNS)


def test_every_action_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "corrections.csv"
    assert write_corrections(path, ALL) is None
    assert read_corrections(path) == ALL
    assert [one.line for one in read_corrections(path)] == [2, 4, 5, 7, 9, 11, 13, 14, 15]
    assert not list(tmp_path.glob(".*"))


def test_an_empty_table_has_no_correction(tmp_path):
    assert read_corrections(write(tmp_path / "c.csv")) == []
    write_corrections(tmp_path / "d.csv", [])
    assert read_corrections(tmp_path / "d.csv") == []


def test_it_is_a_table_of_prompts_with_more_columns(tmp_path):
    path = tmp_path / "c.csv"
    write_corrections(path, [ALL[4]])
    lines = [line.split(",")[:9] for line in path.read_text(encoding="utf-8").splitlines()]
    (tmp_path / "p.csv").write_text("\n".join(map(",".join, lines)), encoding="utf-8")
    (prompt,) = read_prompts(tmp_path / "p.csv", image="a")
    own = ALL[4].prompt()
    assert prompt.points.tolist() == own.points.tolist() == [[1, 2]]
    assert prompt.point_labels.tolist() == own.point_labels.tolist() == [0]
    assert prompt.box.tolist() == own.box.tolist() == [0, 1, 20, 30]


def test_what_a_spreadsheet_makes_of_it_is_understood(tmp_path):
    path = tmp_path / "c.csv"
    path.write_bytes("\ufeffimage;object;row;col;action_id;action\r\na;2;1,5;2;x;split\r\na;2;3;4;x;\r\n".encode())
    (one,) = read_corrections(path)
    assert one == Correction("a", "split", (2,), ((1.5, 2.0), (3.0, 4.0)), (1, 1), action_id="x")
    assert one.made_by == "hand"


@pytest.mark.parametrize(
    ("one", "by"),
    [
        (Correction("a", "accept", (1,)), "model"),
        (Correction("a", "delete", (1,)), "hand"),
        (Correction("a", "add", box=(0, 0, 1, 1)), "sam"),
        (Correction("a", "add", mask="0 0 1 1: 0 1"), "hand"),
        (Correction("a", "add", mask="0 0 1 1: 0 1", by="sam"), "sam"),
    ],
)
def test_who_made_a_shape(one, by):
    assert one.made_by == by
    assert one.asks_model == (by == "sam" and not one.mask)
    assert fault_in(one) is None


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row(image="a", action="delete", object=1)], "line 2: no action_id"),
        ([row(image="a", action_id=1, object=1)], "line 2: no action"),
        ([row(action="delete", action_id=1, object=1)], "line 2: no image"),
        ([row(image="a", action="remove", action_id=1, object=1)], "action is 'remove', wanted accept, delete"),
        ([row(image="a", action="delete", action_id=1, object="x")], "line 2: object is 'x', wanted an id"),
        ([row(image="a", action="delete", action_id=1, object=0)], "object is '0', wanted an id"),
        ([row(image="a", action="delete", action_id=1, object="1" * 5000)], "wanted an id: 1, 2, …"),
        ([row(image="a", action="delete", action_id=1)], "delete names 0 objects, wanted 1 objects or more"),
        ([row(image="a", action="merge", action_id=1, object=1)], "merge names 1 objects, wanted 2 objects"),
        ([row(image="a", action="add", action_id=1, object=1, row=1, col=1)], "add names 1 objects, wanted no"),
        ([row(image="a", action="add", action_id=1)], "add has neither a point nor a box nor a mask"),
        ([row(image="a", action="add", action_id=1, row=1, col=1, label=0)], "only points beside the object"),
        ([row(image="a", action="add", action_id=1, row=1)], "col is '', wanted a number"),
        ([row(image="a", action="add", action_id=1, row=1, col=1, label=2)], "label is '2', wanted 0 or 1"),
        ([row(image="a", action="add", action_id=1, row="nan", col=1)], "row is 'nan', wanted a number"),
        ([row(image="a", action="add", action_id=1, mask="0 0 2 2: 1 2")], "have 3 pixels, wanted 2 × 2"),
        ([row(image="a", action="add", action_id=1, mask="0 0")], "wanted ROW COL HEIGHT WIDTH: RUNS"),
        ([row(image="a", action="add", action_id=1, mask="0 0 2 2: 4")], "has no pixel of the object"),
        ([row(image="a", action="split", action_id=1, object=1, row=1, col=1)], "split wants two points or more"),
        ([row(image="a", action="accept", action_id=1, object=1, row=1, col=1)], "accept has points or a box"),
        ([row(image="a", action="accept", action_id=1, object=1, by="hand")], "accept by hand, wanted by model"),
        ([row(image="a", action="delete", action_id=1, object=1, by="sam")], "SAM only answers redraw and add"),
        (
            [row(image="a", action="add", action_id=1, by="me", row=1, col=1)],
            "by is 'me', wanted model, sam, hand",
        ),
        ([row(image="a", action="reviewed", action_id=1, row=1, col=1)], "wanted a box or nothing"),
        (
            [row(image="a", action="delete", action_id=1, object=1), row(image="b", action_id=1, object=2)],
            "line 3: action '1' has image 'b' here and 'a' in line 2",
        ),
        ([row(image="a", action_id="7", action="undo")], "line 2: there is no action '7' to undo"),
        (
            [
                row(image="a", action="reviewed", action_id=1, row_min=5, col_min=0, row_max=4, col_max=9),
                row(image="a", action="delete", action_id=2, object=-1),
            ],
            "line 2: the box ends before it begins; line 3: object is '-1'",
        ),
    ],
)
def test_each_bad_row_is_named_in_one_line(tmp_path, rows, words):
    with pytest.raises(InputError) as error:
        read_corrections(write(tmp_path / "c.csv", *rows))
    assert words in told(error)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("object,action_id,action\n", "column image is missing"),
        ("image,action_id,action,note\n", "unknown column 'note'"),
        ('image,action_id,action\n"a', "not a CSV file"),
    ],
)
def test_no_such_table(tmp_path, text, words):
    (tmp_path / "c.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        read_corrections(tmp_path / "c.csv")
    with pytest.raises(InputError, match=r"there is no file .*none\.csv; give the table of corrections"):
        read_corrections(tmp_path / "none.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_corrections(tmp_path)


def test_undo_takes_a_correction_back(tmp_path):
    path = tmp_path / "c.csv"
    append_corrections(path, [Correction("a", "delete", (1,)), Correction("a", "accept", (2,))])
    append_corrections(path, [Correction("", "undo", action_id="1")])
    assert [one.objects for one in read_corrections(path)] == [(2,)]
    # Its number is not given again, so that the file keeps its history.
    (new,) = append_corrections(path, [Correction("a", "accept", (1,))])
    assert new.action_id == "3"
    assert len(path.read_text(encoding="utf-8").splitlines()) == 5
    with pytest.raises(InputError, match="there is no action '9' to undo"):
        append_corrections(path, [Correction("", "undo", action_id="9")])
    with pytest.raises(InputError, match="there is an action '2' already"):
        append_corrections(path, [Correction("a", "delete", (5,), action_id="2")])
    assert [one.action_id for one in read_corrections(path)] == ["2", "3"]
    assert standing([*ALL, Correction("", "undo", action_id="3")]) == [*ALL[:2], *ALL[3:]]


def test_what_is_unsound_is_never_written(tmp_path):
    path = tmp_path / "c.csv"
    with pytest.raises(InputError, match=r"correction 1 of a: merge names 1 objects"):
        append_corrections(path, [Correction("a", "merge", (1,))])
    assert not path.exists()
    write_corrections(path, ALL)
    before = path.read_bytes()
    with pytest.raises(InputError, match="no image"):
        append_corrections(path, [Correction("", "accept", (1,))])
    with pytest.raises(InputError, match="there is an action '1' already"):
        write_corrections(path, [ALL[0], ALL[0]])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (Correction("a", "add", points=((float("nan"), 1.0),), point_labels=(1,)), "a number that is none"),
        (Correction("a", "add", box=(0.0, 0.0, float("inf"), 1.0)), "a number that is none"),
        (Correction("a", "add", box=(5.0, 0.0, 4.0, 1.0)), "the box ends before it begins"),
        (Correction("a", "add", points=((1.0, 1.0),), point_labels=(2,)), "wanted 0 or 1"),
        (Correction("a", "add", points=((1.0, 1.0),)), "1 points have 0 labels"),
        (Correction("a", "delete", (0,)), "names object 0, wanted ids from 1 on"),
        (Correction("a", "add", mask="1 1 2 2: 3"), "have 3 pixels"),
        (Correction("a", "add", mask="0 0 1 1: " + "0 " * 70_000 + "1"), "and at most 131072 can be read"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(tmp_path, one, words):
    with pytest.raises(InputError, match=words) as error:
        append_corrections(tmp_path / "c.csv", [one])
    told(error)
    assert not (tmp_path / "c.csv").exists()


def test_nothing_is_lost_without_a_copy(tmp_path):
    path = tmp_path / "c.csv"
    write_corrections(path, ALL[:2])
    # What the new file begins with is not lost.
    assert write_corrections(path, ALL[:4]) is None
    first = path.read_bytes()
    copy = write_corrections(path, ALL[2:4])
    assert copy == tmp_path / "c.1.csv"
    assert copy.read_bytes() == first
    assert write_corrections(path, []) == tmp_path / "c.2.csv"
    assert read_corrections(tmp_path / "c.2.csv") == ALL[2:4]


def test_a_file_of_another_form_is_brought_to_ours_and_kept(tmp_path):
    path = tmp_path / "c.csv"
    text = "image;object;action_id;action\na;2;x;delete\n"
    path.write_text(text, encoding="utf-8")
    append_corrections(path, [Correction("a", "accept", (1,))])
    assert [one.action_id for one in read_corrections(path)] == ["x", "1"]
    assert (tmp_path / "c.1.csv").read_text(encoding="utf-8") == text


def test_two_that_append_at_once_lose_nothing(tmp_path):
    path = tmp_path / "c.csv"

    def append(image):
        for number in range(1, 6):
            append_corrections(path, [Correction(image, "accept", (number,))])

    threads = [threading.Thread(target=append, args=(image,)) for image in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read_corrections(path)
    assert sorted(int(one.action_id) for one in found) == list(range(1, 11))
    assert {image: [one.objects for one in found if one.image == image] for image in "ab"} == {
        image: [(number,) for number in range(1, 6)] for image in "ab"
    }


def test_what_is_added_can_be_chosen_by_what_stands(tmp_path):
    path = tmp_path / "c.csv"
    assert extend_corrections(path, lambda found: found) == []
    assert not path.exists()
    append_corrections(path, [Correction("a", "accept", (1,)), Correction("a", "accept", (2,))])
    append_corrections(path, [Correction("", "undo", action_id="1")])
    before = path.read_bytes()
    seen = []
    assert extend_corrections(path, lambda found: seen.extend(found) or []) == []
    assert [one.objects for one in seen] == [(2,)]
    assert path.read_bytes() == before
    added = extend_corrections(
        path, lambda found: [Correction("", "undo", action_id=one.action_id) for one in found]
    )
    assert [one.action_id for one in added] == ["2"]
    assert read_corrections(path) == []
