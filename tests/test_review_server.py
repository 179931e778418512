"""The server of the review page: who is refused, what is saved, and what SAM answers."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import numpy as np
import pytest
import tifffile
import torch
from fake_networks import use_rule_models
from results_folders import discs, image_of, write_results

from autosam import cli
from autosam.errors import ConfigError, InputError, ModelError
from autosam.images import find_sources
from autosam.models.files.file_hash import file_sha256
from autosam.models.sam.interface import Embedding
from autosam.pipeline.batch import segment_batch
from autosam.pipeline.segmenter import Segmenter
from autosam.review.corrections import Correction
from autosam.review.corrections_file import append_corrections, read_corrections
from autosam.review.drawn_mask import read_mask_text
from autosam.review.page.make_review import ReviewOptions, make_review
from autosam.review.page.review_page import correction_data
from autosam.review.review_results import ReviewResults
from autosam.review.server import live_answers, review_app, take_port
from autosam.review.server.live_answers import LiveAnswers
from autosam.review.server.read_correction import RefusedError, read_correction
from autosam.review.server.recent_windows import RecentWindows
from autosam.review.server.save_corrections import SavedCorrections
from autosam.review.server.serve_review import serve_review

THREE = discs([(20, 20, 8), (20, 60, 8), (60, 90, 9)])


@pytest.fixture
def results(tmp_path):
    return write_results(tmp_path / "out", {"a": THREE, "b": THREE})


@pytest.fixture
def segmented(tmp_path, monkeypatch):
    """Segment an image by networks that answer by rule."""
    use_rule_models(monkeypatch)
    model = tmp_path / "model.safetensors"
    model.write_bytes(b"stands for the weights")
    tifffile.imwrite(tmp_path / "a.tif", image_of(THREE), photometric="minisblack")
    segmenter = Segmenter.from_model(model)
    sources = find_sources([tmp_path / "a.tif"])
    list(segment_batch(sources, segmenter, tmp_path / "out", model_sha256=file_sha256(model)))
    return tmp_path / "out"


@contextmanager
def served(folder, **options):
    """Serve a folder; gives a function that asks and returns status, headers and content."""
    opened = ReviewResults.open(folder)
    page = make_review(opened, ReviewOptions())
    listening = take_port.take_port(0)
    with serve_review(opened, page, LiveAnswers(opened, **options), listening) as url:
        place = urlsplit(url)

        def ask(path, body=None, **headers):
            connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
            sent = None if body is None else json.dumps(body)
            path = path if path.startswith("/") else place.path + path
            connection.request("GET" if body is None else "POST", path, sent, headers)
            reply = connection.getresponse()
            content = reply.read().decode()
            connection.close()
            return reply.status, reply.headers, content

        ask.url = place
        yield ask


def test_strangers_are_refused(results):
    with served(results) as ask:
        assert ask.url.hostname == "127.0.0.1"
        assert len(ask.url.path) > 30
        status, headers, page = ask("")
        assert status == 200
        assert headers["Cache-Control"] == "no-store"
        assert "connect-src 'self'" in page
        host = f"127.0.0.1:{ask.url.port}"
        assert ask("", Host=f"localhost:{ask.url.port}")[0] == 200
        one = {"image": "a", "action": "delete", "objects": [1], "results": "x"}
        correction = {"undo": [], "add": [one]}
        for path, others in (
            ("/", {}),
            ("/wrong/", {}),
            ("//", {}),
            ("/wrong/corrections", {}),
            ("corrections", {"Host": "evil.example"}),
            ("corrections", {"Host": f"evil.example:{ask.url.port}"}),
            ("corrections", {"Origin": "http://evil.example"}),
            ("corrections", {"Origin": "null"}),
            ("corrections", {"Origin": f"http://localhost:{ask.url.port}", "Host": host}),
            ("corrections", {"Origin": "http://127.0.0.1:1"}),
        ):
            status, _, content = ask(path, correction, **others)
            assert (status, content.split(":")[0]) == (403, "refused"), (path, others)
        assert ask("", Host="evil.example")[0] == 403
        # The same with the right ones is answered.
        assert ask("corrections", correction, Origin=f"http://{host}")[0] == 409
        assert ask("nothing")[0] == 404
        assert ask("corrections", ["no", "correction"])[0] in (400, 409)
    assert not (results / "corrections.csv").exists()


def test_corrections_are_saved_at_once_and_taken_back(results):
    made = ReviewResults.open(results).images["a"].results
    with served(results) as ask:

        def save(*undo, **one):
            given = {"undo": undo, "add": [{"image": "a", "results": made, **one}]}
            status, _, content = ask("corrections", given)
            return status, json.loads(content)

        assert save(action="accept", by="model", objects=[1]) == (200, {"ids": ["1"]})
        assert save(action="add", box=[80, 10, 90, 20], by="sam", mask="80 10 2 2: 0 4")[1] == {"ids": ["2"]}
        found = read_corrections(results / "corrections.csv")
        assert [(one.action, one.objects, one.made_by, one.results) for one in found] == [
            ("accept", (1,), "model", made),
            ("add", (), "sam", made),
        ]
        for one, words in (
            ({"action": "delete", "objects": [1]}, "object 1 is"),
            ({"action": "merge", "objects": [2, 3]}, "objects 2 and 3 lie more than 16 pixels apart"),
            ({"action": "add", "mask": "80 10 1 1: 0 1"}, "all pixels of its object belong to objects"),
            ({"action": "delete", "objects": [9]}, "a has no object 9"),
            ({"action": "delete", "objects": []}, "delete names 0 objects"),
            ({"action": "add", "points": [[500, 3]], "labels": [1]}, "outside the image"),
            ({"action": "delete", "objects": [1], "image": "z"}, "no results of 'z'"),
            ({"action": "delete", "objects": [2], "results": "sha256:0"}, "results of a have changed"),
        ):
            status, reply = save(**one)
            assert (status, reply["refused"]) == (409, True)
            assert words in reply["error"]
            # What it would take the place of stays.
            before = (results / "corrections.csv").read_bytes()
            assert save("2", **{**one, "action": "eat"})[1]["refused"] is True
            assert (results / "corrections.csv").read_bytes() == before
        assert save("1", action="delete", by="hand", objects=[1]) == (200, {"ids": ["3"]})
        assert [one.action_id for one in read_corrections(results / "corrections.csv")] == ["2", "3"]
        # Twice does no harm.
        before = (results / "corrections.csv").read_bytes()
        assert save("1", action="delete", by="hand", objects=[1]) == (200, {"ids": ["3"]})
        assert ask("corrections", {"undo": ["1"], "add": []})[0] == 200
        assert (results / "corrections.csv").read_bytes() == before
        # The page that is opened now has them.
        data = json.loads(re.search(r'id="page-data">(.*?)</script>', ask("")[2], re.S)[1])
        assert [one["id"] for one in data["corrections"]] == ["2", "3"]
        assert data["served"] is True


def test_labels_that_change_meanwhile_are_noticed(results):
    opened = ReviewResults.open(results)
    saved = SavedCorrections(opened, results / "corrections.csv")
    one = Correction("a", "delete", (1,), results=opened.images["a"].results)
    assert saved.save([one]) == ["1"]
    path = results / "a_labels.tif"
    tifffile.imwrite(path, np.where(THREE == 2, 0, THREE).astype(np.uint8))
    with pytest.raises(InputError, match="results of a have changed; start autosam review again"):
        saved.save([Correction("a", "delete", (3,), results=one.results)], ["1"])
    path.unlink()
    with pytest.raises(InputError, match="labels of a are gone"):
        saved.save([Correction("a", "delete", (3,), results=one.results)], ["1"])
    assert len(saved.read()) == 1


def test_a_refused_correction_leaves_those_that_it_replaces(results):
    opened = ReviewResults.open(results)
    saved, made = SavedCorrections(opened, results / "corrections.csv"), opened.images["a"].results
    first = [Correction("a", "accept", (1, 2), by="model", results=made), Correction("b", "accept", (1,))]
    assert saved.save(first) == ["1", "2"]
    apart = [Correction("a", "accept", (2,), results=made), Correction("a", "merge", (1, 3), results=made)]
    with pytest.raises(RefusedError, match="objects 1 and 3 lie more than 16 pixels apart"):
        saved.save(apart, ["1"])
    assert [one.action_id for one in saved.read()] == ["1", "2"]
    kept = [
        Correction("a", "accept", (2,), by="model", results=made),
        Correction("a", "delete", (1,), results=made),
    ]
    assert saved.save(kept, ["1"]) == ["3", "4"]
    assert [one.action_id for one in saved.read()] == ["2", "3", "4"]


def test_what_cannot_be_read_is_no_refusal(results):
    made = ReviewResults.open(results).images["a"].results
    path, labels = results / "corrections.csv", results / "a_labels.tif"
    given = {"undo": [], "add": [{"image": "a", "results": made, "action": "delete", "objects": [1]}]}
    with served(results) as ask:
        path.write_text("image,row\nx,,,\n")
        status, _, content = ask("corrections", given)
        assert (status, json.loads(content)["refused"]) == (409, False)
        path.unlink()
        there = labels.read_bytes()
        labels.unlink()
        status, _, content = ask("corrections", given)
        assert (status, json.loads(content)["refused"]) == (409, False)
        assert "the labels of a are gone" in json.loads(content)["error"]
        labels.write_bytes(there)
        assert json.loads(ask("corrections", given)[2]) == {"ids": ["1"]}


def test_sam_answers_clicks_and_boxes(segmented):
    with served(segmented) as ask:

        def answer(**question):
            while True:
                status, _, content = ask("answer", {"image": "a", **question})
                reply = json.loads(content)
                if not reply.get("loading"):
                    return status, reply
                time.sleep(0.05)

        status, reply = answer(points=[[20, 60]], labels=[1])
        assert status == 200
        crop = read_mask_text(reply["mask"])
        assert np.array_equal(crop.mask, THREE[crop.window] == 2)
        assert 0 < float(reply["score"]) <= 1
        assert reply["kept"] is True
        assert answer(box=[8, 50, 32, 70])[1]["mask"] == reply["mask"]
        assert answer(points=[[85, 20]], labels=[1]) == (200, {"nothing": True})
        number = int(tifffile.imread(segmented / "a_labels.tif")[60, 90])
        redrawn = answer(objects=[number], points=[[60, 110]], labels=[0])[1]
        assert read_mask_text(redrawn["mask"]).mask.sum() == (THREE == 3).sum()
        status, reply = answer(points=[[500, 3]], labels=[1])
        assert status == 409
        assert reply["error"] == "the point lies outside the image of 96 × 128."
        assert ask("prepare", {"image": "a", "point": [20, 20]})[0] == 200
        assert ask("answer", {"image": "a", "points": "x"})[0] == 409
        assert ask("answer", {})[0] == 409


def test_an_outline_that_no_file_can_hold_is_shown_and_not_kept(segmented, monkeypatch):
    monkeypatch.setattr(review_app, "LONGEST_MASK", 20)
    with served(segmented) as ask:
        question = {"image": "a", "points": [[20, 60]], "labels": [1]}
        while (reply := json.loads(ask("answer", question)[2])).get("loading"):
            time.sleep(0.02)
        assert reply["kept"] is False
        assert read_mask_text(reply["mask"]).mask.any()


def test_a_click_while_the_model_loads_waits(segmented, monkeypatch):
    go_on = threading.Event()
    opens = live_answers.open_segmenter

    def slowly(*args, **kwargs):
        assert go_on.wait(60)
        return opens(*args, **kwargs)

    monkeypatch.setattr(live_answers, "open_segmenter", slowly)
    question = {"image": "a", "points": [[20, 20]], "labels": [1]}
    with served(segmented) as ask:
        assert json.loads(ask("answer", question)[2]) == {"loading": True}
        assert ask("prepare", {"image": "a", "point": [20, 20]})[0] == 200
        go_on.set()
        while json.loads(ask("answer", question)[2]).get("loading"):
            time.sleep(0.02)
        assert "mask" in json.loads(ask("answer", question)[2])


def test_the_newest_crop_is_prepared_clicks_come_first_and_saving_waits_for_neither(segmented, monkeypatch):
    go_on, begun, seen = threading.Event(), threading.Event(), []

    def slowly(answers, prompts):
        seen.append(float(prompts[0].points[0, 1]))
        begun.set()
        assert go_on.wait(60)
        return [None]

    monkeypatch.setattr(live_answers.PromptAnswers, "answer", slowly)
    made = ReviewResults.open(segmented).images["a"].results
    with served(segmented) as ask:
        outside = {"image": "a", "points": [[500, 3]], "labels": [1]}
        while json.loads(ask("answer", outside)[2]).get("loading"):
            time.sleep(0.02)

        def start(what, col):
            more = {"point": [20, col]} if what == "prepare" else {"points": [[20, col]], "labels": [1]}
            asking = threading.Thread(target=ask, args=(what, {"image": "a", **more}), daemon=True)
            asking.start()
            return asking

        first = start("prepare", 1)
        assert begun.wait(60)
        paged = [start("prepare", col) for col in range(2, 50)]
        end = time.monotonic() + 30
        while sum(one.is_alive() for one in paged) > 1 and time.monotonic() < end:
            time.sleep(0.02)
        last = start("prepare", 99)
        for one in paged:
            one.join(5)
        assert not any(one.is_alive() for one in paged)
        # With both crops, as many as the server answers at once.
        clicks = [start("answer", 100) for _ in range(38)]
        time.sleep(0.5)
        assert all(one.is_alive() for one in (first, last, *clicks))
        step = {"undo": [], "add": [{"image": "a", "results": made, "action": "reviewed"}]}
        assert ask("corrections", step)[0] == 200
        go_on.set()
        for one in (first, last, *clicks):
            one.join()
    assert seen == [1, *[100] * 38, 99]


def test_what_is_gone_is_told(segmented):
    results = ReviewResults.open(segmented)
    question = Correction("a", "add", points=((20.0, 20.0),), point_labels=(1,))
    gone = LiveAnswers(results)
    gone.load()
    (segmented.parent / "a.tif").unlink()
    with pytest.raises(InputError, match="is not there any more; put it back, or say where it is with --images"):
        gone.answer(question)
    (segmented.parent / "model.safetensors").unlink()
    answers = LiveAnswers(results)
    answers.load()
    with pytest.raises(ModelError, match="is gone") as told:
        answers.answer(question)
    with pytest.raises(ModelError, match="is gone") as again:
        answers.answer(question)
    assert again.value is not told.value


def test_memory_is_bounded(segmented, monkeypatch):
    kept = RecentWindows(100)
    one = Embedding(torch.zeros(1, 10), (1, 1), (1, 1))
    for number in range(5):
        kept[number] = [one]
        assert kept[0] == [one]
    assert list(kept) == [4, 0]
    assert kept.nbytes == 80
    kept[7] = [Embedding(torch.zeros(1, 100), (1, 1), (1, 1))]
    assert list(kept) == [7]
    assert 0 not in kept
    results = ReviewResults.open(segmented)
    monkeypatch.setattr(live_answers, "MOST_IMAGES", 1)
    answers = LiveAnswers(results)
    answers.load()
    question = Correction("a", "add", points=((20.0, 20.0),), point_labels=(1,))
    answers.answer(question)
    first = answers._kept["a"]
    answers.answer(question)
    assert answers._kept["a"] is first
    answers._make_room(1)
    assert not answers._kept


def test_what_the_page_sends_is_read_and_nothing_else():
    one = Correction("a", "redraw", (3,), ((1.5, 2.0),), (0,), (0, 1, 2, 3), "1 1 1 1: 0 1", "sam", results="r")
    assert read_correction(json.loads(json.dumps(correction_data(one)))) == one
    for wrong in (
        {},
        [],
        None,
        {"image": "a", "action": "eat"},
        {"image": 1, "action": "accept"},
        {"image": "a", "action": "accept", "objects": ["1"]},
        {"image": "a", "action": "accept", "objects": [0]},
        {"image": "a", "action": "add", "points": [[1]]},
        {"image": "a", "action": "add", "points": [[1, float("nan")]]},
        {"image": "a", "action": "add", "box": [1, 2, 3]},
        {"image": "a", "action": "add", "labels": [2]},
    ):
        with pytest.raises(InputError, match="no correction"):
            read_correction(wrong)


def test_a_model_that_is_not_there_is_refused_at_once(results, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["autosam", "review", str(results), "--serve", "--model", "foo"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "no model is named 'foo'" in line


def test_a_port_in_use_and_a_missing_package(results, monkeypatch, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(sys, "argv", ["autosam", "review", str(results), "--serve", "--port", str(port)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"port {port} cannot be used" in line
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ConfigError, match=r"needs the package uvicorn; pip install 'autosam\[review\]'"):
        take_port.require_server()


def test_the_command_serves_until_ctrl_c_and_keeps_what_was_saved(results):
    append_corrections(results / "corrections.csv", [Correction("b", "accept", (1,))])
    command = [
        sys.executable,
        "-c",
        "from autosam.cli import main; main()",
        "review",
        str(results),
        "--serve",
        "--no-browser",
    ]
    ran = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert ran.stdout.readline().startswith(f"6 crops to review, saved in {results / 'corrections.csv'}.")
    place = urlsplit(ran.stdout.readline().strip())
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
    made = ReviewResults.open(results).images["a"].results
    one = {"image": "a", "action": "delete", "objects": [2], "results": made}
    connection.request("POST", place.path + "corrections", json.dumps({"undo": [], "add": [one]}))
    assert json.loads(connection.getresponse().read()) == {"ids": ["2"]}
    connection.close()
    ran.send_signal(signal.SIGINT)
    out, err = ran.communicate(timeout=60)
    assert ran.returncode == 0
    assert "Traceback" not in out + err
    assert [(one.image, one.action) for one in read_corrections(results / "corrections.csv")] == [
        ("b", "accept"),
        ("a", "delete"),
    ]
