from datetime import UTC, datetime

from sightline.report.run_index import RunSummary, write_run_index


def run(run_id, day, state="succeeded", **more):
    return RunSummary(
        run_id, datetime(2026, 11, day, 7, 53, tzinfo=UTC), "plates_ann_v2", "plates", state, 61.0, **more
    )


def test_runs_stand_newest_first_with_their_metrics_and_winners(tmp_path, open_page):
    metrics = {"mask_AP": 0.6912, "EIR": 0.8125, "box_AP75": 0.111}
    runs = [
        run("old", 1, link="old/report/index.html", metrics=metrics, winners={"mask_AP": "best", "EIR": "champion"}),
        run("new", 3, "failed", link="new/report/index.html"),
        run("middle", 2, "running", link=""),
    ]
    write_run_index(tmp_path / "index.html", runs)
    page = open_page(tmp_path / "index.html")
    page.has("Runs 3, newest first", "2026-11-01 07:53 took 1 min 01 s 0.691 0.812 mask_AP: best EIR: champion")
    assert page.text.index("new") < page.text.index("middle") < page.text.index("old")
    assert page.links[1:] == ["new/report/index.html", "old/report/index.html"]
    assert "box_AP75" not in page.text
    assert "dv_mAP" not in page.text


def test_no_run_is_said(tmp_path, open_page):
    write_run_index(tmp_path / "index.html", [])
    open_page(tmp_path / "index.html").has("There is no run yet")


def test_hostile_names_stay_text_and_links_stay_paths(tmp_path, open_page):
    bad = "<script>alert(1)</script>"
    write_run_index(tmp_path / "index.html", [run(bad, 1, link="javascript:alert(1)", winners={bad: bad})])
    page = open_page(tmp_path / "index.html")
    assert page.text.count(bad) == 3
    assert page.links[1] == "javascript%3Aalert%281%29"
