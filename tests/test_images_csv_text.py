"""CSV as spreadsheets save it."""

import csv

import pytest

from autosam.images.csv_text import read_rows

WANTED = [["object", "row", "col"], ["1", "20.5", "-3"], ["2", "", "7"]]


@pytest.mark.parametrize(
    "text",
    [
        "object,row,col\n1,20.5,-3\n2,,7\n",
        "object;row;col\n1;20,5;-3\n2;;7\n",
        "object\trow\tcol\n1\t20,5\t-3\n2\t\t7\n",
        "\ufeffobject;row;col\r\n1;20.5;-3\r\n2;;7",
        "object;row;col\r1;20,5;-3\r2;;7\r",
        "sep=;\nobject;row;col\n1;20,5;-3\n2;;7\n",
        "sep=,\r\nobject,row,col\r\n1,20.5,-3\r\n2,,7\r\n",
        '\n object ;"row";col\n\n1;"20,5"; -3\n\n2;;7\n',
    ],
)
def test_what_stands_between_cells_is_found(text):
    assert [cells for _, cells in read_rows(text, ["object", "row", "col"])] == WANTED


def test_lines_are_counted_as_an_editor_does():
    rows = list(read_rows('sep=;\nrow;col\n\n"a\nb";1\n', ["row", "col"]))
    assert rows == [(2, ["row", "col"]), (5, ["a\nb", "1"])]


@pytest.mark.parametrize("text", ["", "\n\n", "sep=;"])
def test_no_row(text):
    assert list(read_rows(text, ["row"])) == []


def test_only_whole_numbers_with_a_decimal_comma_are_numbers():
    cells = ["1,5", "-0,25", "1.234,5", "1,", ",5", "1,5e3", "a,b", "1,234,5"]
    told = list(read_rows("row;col\n" + ";".join(cells), ["row", "col"]))[1][1]
    assert told == ["1.5", "-0.25", *cells[2:]]


def test_a_quote_that_is_not_closed_is_an_error():
    with pytest.raises(csv.Error):
        list(read_rows('row;col\n"1;2\n', ["row", "col"]))


def test_blanks_of_exact_columns_stay():
    text = "image; object\n x .tif ; 1 \n  ;  2\n"
    rows = [cells for _, cells in read_rows(text, ["image", "object"], exact=["image"])]
    assert rows == [["image", "object"], [" x .tif ", "1"], ["", "2"]]
