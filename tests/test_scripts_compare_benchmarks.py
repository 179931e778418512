"""Two files of figures side by side, and one as a table of the docs."""

import json

import pytest
from docs_pages import ROOT
from script_modules import load_script

compare_benchmarks = load_script("compare_benchmarks")


def row(name, value, wanted=2.0, unit="×", seconds=None):
    peer = None if seconds is None else "a peer"
    peer_seconds = None if seconds is None else seconds / value
    known = {"name": name, "what": f"what {name} is", "value": value, "unit": unit, "wanted": wanted}
    return known | {"autosam_seconds": seconds, "peer": peer, "peer_seconds": peer_seconds}


def write(path, *rows, skipped=None, **machine):
    record = {
        "commit": "abc",
        "machine": {"processor": "P", "cores": 2, "threads": 2, "load": 0.1} | machine,
        "versions": {"python": "3.11", "numpy": "2.0", "peers": {"numpy": "2.0", "stardist": "0.9"}},
        "rows": rows,
        "skipped": skipped or {},
    }
    path.write_text(json.dumps(record), encoding="utf-8")
    return str(path)


@pytest.fixture
def before(tmp_path):
    return write(tmp_path / "before.json", row("start", 3.0), row("memory", 700.0, 300, "MB"), row("gone", 1.0))


def test_a_row_that_grew_beyond_the_factor_fails(before, tmp_path, capsys):
    after = write(tmp_path / "after.json", row("start", 4.5), row("memory", 350.0, 300, "MB"), row("new", 1.0))
    assert compare_benchmarks.main([before, after]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["start", "memory", "gone", "new"]
    assert lines[1].split() == ["start", "3", "×", "4.5", "×", "2", "×", "1.50", "WORSE"]
    assert lines[2].split() == ["memory", "700", "MB", "350", "MB", "300", "MB", "0.50"]
    assert lines[3].split()[:5] == ["gone", "1", "×", "-", "2"]
    assert "WORSE" not in "".join(lines[2:])


def test_within_the_factor_nothing_is_worse(before, tmp_path):
    after = write(tmp_path / "after.json", row("start", 3.6))
    assert compare_benchmarks.main([before, after]) == 0
    assert compare_benchmarks.main([before, after, "--factor", "1.1"]) == 1


def test_another_machine_is_told(before, tmp_path, capsys):
    after = write(tmp_path / "after.json", row("start", 3.0), processor="Q")
    assert compare_benchmarks.main([before, after]) == 0
    assert "processor: P before, Q after" in capsys.readouterr().err


def test_markdown_of_one_file(tmp_path, capsys):
    rows = (row("start", 1.5, 1.6, seconds=3.0), row("auto", 0.1, 1 / 20), row("large", 1234.0, None, "MB"))
    path = write(tmp_path / "one.json", *rows, skipped={"real": "needs data"})
    assert compare_benchmarks.main([path, "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "| what start is | **1.5 ×** | 1.6 × | 3 | a peer: 2 |"
    assert lines[3] == "| what auto is | 1/10 | 1/20 |  |  |"
    assert lines[4] == "| what large is | 1,234 MB |  |  |  |"
    assert "python 3.11, numpy 2.0. The peers: stardist 0.9." in lines[6]
    assert lines[7] == "Not measured: `real` (needs data)."


def test_the_table_is_put_into_the_page_again_and_again(tmp_path):
    page = tmp_path / "benchmarks.md"
    page.write_text((ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8"), encoding="utf-8")
    written = []
    for value in (1.5, 1.2):
        path = write(tmp_path / "one.json", row("start", value))
        assert compare_benchmarks.main([path, "--page", str(page)]) == 0
        written.append(page.read_text(encoding="utf-8"))
    assert "| what start is | **1.5 ×** | 2 × |  |  |" in written[0]
    assert written[0].replace("1.5 ×", "1.2 ×") == written[1]


def test_a_page_without_a_place_and_a_strange_file_are_refused(before, tmp_path):
    page, strange = tmp_path / "page.md", tmp_path / "strange.json"
    page.write_text("# Benchmarks\n")
    strange.write_text("[]")
    with pytest.raises(SystemExit, match="lacks the line"):
        compare_benchmarks.main([before, "--page", str(page)])
    with pytest.raises(SystemExit, match="no rows"):
        compare_benchmarks.main([str(strange), before])
    with pytest.raises(SystemExit, match="2"):
        compare_benchmarks.main([before])
