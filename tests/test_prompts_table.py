import numpy as np
import pytest

from autosam.errors import InputError, OutputError
from autosam.prompts import Prompt, read_prompts, write_prompts

HEADER = "object,row,col,label,row_min,col_min,row_max,col_max\n"


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = tmp_path / "prompts.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_rows_of_one_object_make_one_prompt(table):
    path = table(HEADER + "b,10.5,20,1,,,,\na,1,2,1,0,0,8,9\nb,3,4,0,,,,\n")
    second, first = read_prompts(path, shape=(30, 40))
    np.testing.assert_array_equal(second.points, [[10.5, 20], [3, 4]])
    np.testing.assert_array_equal(second.point_labels, [1, 0])
    assert second.box is None
    np.testing.assert_array_equal(first.box, [0, 0, 8, 9])
    assert (first.foreground, first.region, first.mask) == (1, 0, None)
    assert first.point_labels.dtype == np.int64


def test_boxes_alone_and_points_alone(table):
    (box,) = read_prompts(table("object,row_min,col_min,row_max,col_max\n1,2,3,4,5\n"))
    assert box.points.shape == (0, 2)
    assert box.point_labels.shape == (0,)
    np.testing.assert_array_equal(box.box, [2, 3, 4, 5])
    (point,) = read_prompts(table("col,row,object,label\n5,6,1,1\n"))
    np.testing.assert_array_equal(point.points, [[6, 5]])


def test_byte_order_mark_spaces_blank_lines_and_windows_line_ends(table):
    path = table(b"\xef\xbb\xbfobject, row, col, label\r\n1, 2, 3, 1\r\n\r\n2, 4, 5, 1\r\n")
    np.testing.assert_array_equal(np.concatenate([p.points for p in read_prompts(path)]), [[2, 3], [4, 5]])


def test_one_file_serves_a_folder(table):
    path = table("image,object,row,col,label\na.png,1,2,3,1\nb,1,4,5,1\na.png,2,900,7,1\nempty.tif,,,,\n")
    assert len(read_prompts(path, image="a.png")) == 2
    (prompt,) = read_prompts(path, image="b.tif", shape=(10, 10))  # image a is larger
    np.testing.assert_array_equal(prompt.points, [[4, 5]])
    assert read_prompts(path, image="empty.tif") == []
    with pytest.raises(InputError, match=r"'c\.png'.*a\.png, b, empty\.tif"):
        read_prompts(path, image="c.png")
    with pytest.raises(InputError, match="say which"):
        read_prompts(path)
    with pytest.raises(InputError, match="line 4: the point lies outside the image of 50 × 60"):
        read_prompts(path, image="a.png", shape=(50, 60))


def test_a_table_need_not_name_every_image(table):
    path = table("image,object,row,col,label\na.png,1,2,3,1\n")
    assert read_prompts(path, image="c.png", required=False) == []
    assert len(read_prompts(path, image="a.png", required=False)) == 1
    with pytest.raises(InputError, match=r"'c\.png', only for a\.png: add a row for it"):
        read_prompts(path, image="c.png")
    faulty = table("image,object,row,col,label\na.png,1,two,3,1\n")
    with pytest.raises(InputError, match="line 2: row is 'two'"):
        read_prompts(faulty, image="c.png", required=False)


def test_header_alone_means_no_prompts(table):
    assert read_prompts(table(HEADER)) == []


def test_every_fault_is_told_with_its_line(table):
    path = table(
        HEADER
        + "1,x,2,1,,,,\n"  # line 2
        + "2,1,2,3,,,,\n"
        + "3,1,2,0,,,,\n"
        + "4,,,,5,5,2,9\n"
        + "5,1,,1,,,,\n"
        + ",1,1,1,,,,\n"
        + "6,,,,,,,\n"
        + "7,99,1,1,,,,\n"
        + "8,nan,1,1,,,,\n"
        + "9,1,1,1,1,1,2,2,3\n"
        + "10,,,,1,1,2,2\n"
        + "10,,,,1,1,2,2\n"
        + "11,,,,0,0,5,20\n"
    )
    with pytest.raises(InputError) as caught:
        read_prompts(path, shape=(20, 20))
    message = str(caught.value)
    assert "\n" not in message
    for words in [
        "line 2: row is 'x', wanted a number",
        "line 3: label is '3', wanted 0 or 1",
        "line 4: object '3' has only negatives and no box",
        "line 5: the box ends before it begins",
        "line 6: col is '', wanted a number",
        "line 7: no object",
        "line 8: object '6' has neither a point nor a box here",
        "line 9: the point lies outside the image of 20 × 20",
        "line 10: row is 'nan'",
        "line 11: 9 cells, wanted 8",
        "line 13: a second box of object '10'",
        "line 14: the box lies outside the image",
    ]:
        assert words in message
    assert message.count("line ") == 12


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "column object is missing"),
        ("object\n1\n", "row, col, label is missing"),
        ("object,row,col\n1,2,3\n", "column label is missing"),
        ("object,row,col,label,row_min\n", "column col_min, row_max, col_max is missing"),
        ("object,row,col,label,rwo\n", "unknown column 'rwo'"),
        ("object,row,row,col,label\n", "column row comes twice"),
        ('object,row,col,label\n1,2,3,"1\n', "not a CSV file"),
        (b"object,row,col,label\n\xff\xfe", "UTF-8"),
    ],
)
def test_unusable_files(table, text, words):
    with pytest.raises(InputError, match=words):
        read_prompts(table(text))


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv cannot be read"):
        read_prompts(tmp_path / "none.csv")


def test_last_half_pixel_belongs_to_the_image(table):
    text = "object,row,col,label\n1,-0.5,19.5,1\n"
    assert len(read_prompts(table(text), shape=(10, 20))) == 1
    with pytest.raises(InputError, match="outside"):
        read_prompts(table(text), shape=(20, 10))


def prompts():
    rng = np.random.default_rng(0)
    return [
        Prompt(points=rng.random((3, 2)) * 100, point_labels=np.array([1, 0, 1])),
        Prompt(points=np.zeros((0, 2)), point_labels=np.zeros(0, int), box=np.array([0.1, 2, 30, 40 / 3])),
        Prompt(points=np.array([[5.0, 6]]), point_labels=np.array([0]), box=np.array([0.0, 0, 9, 9])),
    ]


def same(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a.points, b.points)
        np.testing.assert_array_equal(a.point_labels, b.point_labels)
        assert (a.box is None) == (b.box is None)
        if a.box is not None:
            np.testing.assert_array_equal(a.box, b.box)


def test_round_trip(tmp_path):
    path = tmp_path / "prompts.csv"
    write_prompts(path, prompts())
    same(read_prompts(path), prompts())
    before = path.read_bytes()
    write_prompts(path, read_prompts(path))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["prompts.csv"]


def test_round_trip_of_a_folder(tmp_path):
    path = tmp_path / "prompts.csv"
    write_prompts(path, {"a.png": prompts(), "b, c.png": [], "d.png": prompts()[:1]})
    same(read_prompts(path, image="a.png"), prompts())
    same(read_prompts(path, image="d.png"), prompts()[:1])
    assert read_prompts(path, image="b, c.png") == []


def test_round_trip_of_nothing(tmp_path):
    write_prompts(tmp_path / "prompts.csv", [])
    assert read_prompts(tmp_path / "prompts.csv") == []


def test_a_mask_alone_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="prompt 1"):
        write_prompts(tmp_path / "p.csv", [Prompt(points=np.zeros((0, 2)), point_labels=np.zeros(0, int))])
    assert not list(tmp_path.iterdir())


def test_unwritable_place(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "nowhere" / "p.csv", tmp_path / "file" / "p.csv"):
        with pytest.raises(OutputError, match="cannot be written"):
            write_prompts(path, [])


@pytest.mark.parametrize(
    "text",
    [
        "object;row;col;label\r\n1;20,5;30;1\r\n",
        "\ufeffobject\trow\tcol\tlabel\r\n1\t20,5\t30\t1\r\n",
        "sep=;\nobject;row;col;label;;\n1;20.5;30;1;;\n",
    ],
)
def test_tables_of_spreadsheets(tmp_path, text):
    path = tmp_path / "mine.csv"
    path.write_bytes(text.encode())
    if ";;" in text:
        with pytest.raises(InputError, match="unknown column ''"):
            read_prompts(path)
        return
    (prompt,) = read_prompts(path)
    assert prompt.points.tolist() == [[20.5, 30]]


def test_a_number_of_unclear_sense_is_refused(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("object;row;col;label\n1;1.234,5;30;1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"line 2: row is '1\.234,5', wanted a number"):
        read_prompts(path)
