from datetime import UTC, datetime

from sightline.report.pages.key_numbers import KeyNumber, Measured
from sightline.report.pages.run_index import RunSummary, write_run_index


def run(run_id, day, state="succeeded", **more):
    return RunSummary(
        run_id, datetime(2026, 11, day, 7, 53, tzinfo=UTC), "plates_ann_v2", "plates", state, 61.0, **more
    )


def number(metric, test, val, champion=None, note="new champion"):
    return KeyNumber(metric, Measured("best", test, val), champion, metric, note)


def test_runs_stand_newest_first_with_their_numbers_and_outcome(tmp_path, open_page):
    numbers = [number("mask_AP", 0.6912, 0.5), number("EIR", 0.8125, 0.7)]
    decisions = {"mask_AP": "best, new champion", "EIR": "last, champion stays"}
    runs = [
        run("old", 1, link="old/report/index.html", numbers=numbers, decisions=decisions),
        run("new", 3, "failed", link="new/report/index.html", message="train: the loss is not finite"),
        run("middle", 2, "running", link=""),
        run("oldest", 1, "stopped", link="", message="stopped by anna"),
    ]
    write_run_index(tmp_path / "index.html", runs)
    page = open_page(tmp_path / "index.html")
    page.has("Runs 4, newest first", "2026-11-01 07:53 took 1 min 01 s 0.691 0.812")
    page.has("mask_AP: best, new champion EIR: last, champion stays", "train: the loss is not finite")
    page.has("oldest plates · plates_ann_v2 stopped", "stopped by anna")
    assert page.text.index("new") < page.text.index("middle") < page.text.index("old")
    assert page.links[1:] == ["new/report/index.html", "old/report/index.html"]
    assert "dv_mAP" not in page.text
    assert 'data-key="0.6912"' in page.source  # a column is sorted by the whole number


def test_what_was_not_tested_is_marked_and_the_champion_stands_beside_on_the_same_split(tmp_path, open_page):
    one = number("mask_AP", None, 0.25, Measured("champion", 0.9, 0.5), "champion stays")
    write_run_index(tmp_path / "index.html", [run("a", 1, link="", numbers=[one])])
    page = open_page(tmp_path / "index.html")
    page.has("0.250 val against 0.500")
    assert "0.900" not in page.text


def test_no_run_is_said(tmp_path, open_page):
    write_run_index(tmp_path / "index.html", [])
    open_page(tmp_path / "index.html").has("No runs yet")


def test_hostile_names_stay_text_and_links_stay_paths(tmp_path, open_page):
    bad = '"><script>alert(1)</script>'
    write_run_index(
        tmp_path / "index.html", [run(bad, 1, link="javascript:alert(1)", decisions={bad: bad}, message=bad)]
    )
    page = open_page(tmp_path / "index.html")
    assert page.text.count(bad) == 4
    assert page.links[1] == "javascript%3Aalert%281%29"
