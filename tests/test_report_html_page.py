"""The page as HTML: nothing from elsewhere, hostile names are text, equal content gives equal bytes."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from results_folders import discs

from autosam.errors import OutputError
from autosam.report.html_page import check_place, render_page, write_page
from autosam.report.page_content import (
    Cell,
    Chart,
    Column,
    Fact,
    ImageCard,
    Notice,
    PageContent,
    RunPart,
    Table,
)
from autosam.report.page_pictures import fit_picture

HOSTILE = "</script><script>alert('x')</script>\"><img src=x onerror=alert(1)>.tif"


def content(name="a", **others):
    picture = fit_picture(np.zeros((96, 128, 3), np.uint8), {"objects": discs([(40, 40, 9)])}, most=10**6)
    table = Table("images", (Column("image", numeric=False), Column("objects")), ((Cell(name), Cell("1", 1)),))
    made = {
        "title": name,
        "subtitle": name,
        "notices": (Notice("warning", name, (name,)),),
        "summary": (Fact(name, "1", name),),
        "cards": (ImageCard(name, picture, name, badges=(name,), scores={1: 0.5}),),
        "hidden": 0,
        "charts": (Chart("sizes", "<svg></svg>"),),
        "table": table,
        "runs": (RunPart("Run 1", (Fact("model", name),), table, name),),
        "methods": (name,),
        "cite": (name,),
    }
    return PageContent(**(made | others))


class Elements(HTMLParser):
    """Lists the elements of a page with their attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_hostile_names_stay_text():
    page = render_page(content(HOSTILE))
    assert HOSTILE not in page
    elements = Elements(page).found
    # The data, the viewer, what all pages have, and the report.
    assert [tag for tag, _ in elements].count("script") == 4
    assert not any(name.startswith("on") for _, attributes in elements for name in attributes)
    assert all(attributes["src"].startswith("data:image/jpeg") for tag, attributes in elements if tag == "img")
    data = json.loads(re.search(r'id="page-data">(.*?)</script>', page, re.S)[1])
    assert data["pictures"][0]["name"] == HOSTILE


def test_nothing_is_loaded_from_elsewhere():
    page = render_page(content())
    for tag, attributes in Elements(page).found:
        for name in ("src", "href", "action", "srcset"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    assert "@import" not in page
    assert not re.search(r"url\(", page)


def test_the_policy_knows_the_scripts_and_the_style_by_their_hashes():
    page = render_page(content())
    policy = next(a["content"] for tag, a in Elements(page).found if a.get("http-equiv"))
    inside = re.findall(r"<(?:script|style)>(.*?)</(?:script|style)>", page, re.S)
    assert len(inside) == 4
    for text in inside:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_every_picture_has_a_text_and_every_id_is_there_once():
    elements = Elements(render_page(content())).found
    assert all(attributes.get("alt") for tag, attributes in elements if tag == "img")
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {a["href"][1:] for tag, a in elements if tag == "a"}
    assert targets <= set(ids)


def test_equal_content_gives_equal_bytes():
    assert render_page(content()) == render_page(content())


def test_a_card_without_a_picture_says_why():
    page = render_page(content(cards=(ImageCard("a", None, "3 objects", missing="its image is gone"),)))
    assert "its image is gone" in page
    assert '"pictures":[]' in page


def test_a_report_replaces_a_report_and_no_other_file(tmp_path):
    page = tmp_path / "report.html"
    check_place(page)
    write_page(page, content())
    check_place(page)
    page.write_text("<html>mine</html>", encoding="utf-8")
    with pytest.raises(OutputError, match="is no report of autosam"):
        check_place(page)
    with pytest.raises(OutputError, match=r"ends in \.html"):
        check_place(tmp_path / "summary.csv")
    (tmp_path / "b.html").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        check_place(tmp_path / "b.html")
