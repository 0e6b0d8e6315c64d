import dataclasses

import pytest

from sightline.report.run_page import TaskView, write_run_page


def shown(run, tmp_path, open_page):
    write_run_page(tmp_path / "report" / "index.html", run)
    return open_page(tmp_path / "report" / "index.html")


@pytest.fixture(scope="module")
def page(finished, tmp_path_factory, open_page):
    """Read-only: the page of the run that went well."""
    return shown(finished.page, tmp_path_factory.mktemp("page"), open_page)


def test_the_page_says_everything(page):
    page.has("plates-20261121-0753-k3f9 succeeded", "plates_ann_v2", "2026-11-21 07:53 UTC", "5 min 29 s")
    page.has("train.iterations=400 data.tag=plates_ann_v2")
    page.has("box_AP50 0.915", "test split; val 0.930 model best", "EIR 0.851")  # of best, the first selection
    page.has("by mask_AP best new champion", "by EIR last new champion", "last has the highest EIR")
    page.has(
        "plates v2 · plates_ann_v2 → plates_train_v2",
        "7 \N{MULTIPLICATION SIGN} outside image, 2 \N{MULTIPLICATION SIGN} duplicate shape",
    )
    page.has("400 iterations in 4 min 22 s; candidates: best (iteration 400), last (iteration 400).")
    page.has("Loss", "Validation", "Learning rate", "Images per second")
    page.has("On 60 images of the val split.", "7.2 images/s", "138 ms an image")
    page.has("sightline run plates --tag plates_ann_v2 --set train.iterations=400", "recipe: plates")
    assert "../index.html" in page.links


def test_the_graph_is_there_for_wide_and_narrow_and_leads_to_the_tasks(page):
    assert page.links.count("#task-train") == 2
    assert "task-train" in page.ids
    assert page.source.count('<path class="arrow"') == 8
    page.has("Train 4 min 22 s succeeded Inputs config {...} code_rev d61ae8e Outputs Output plates_train_v2")


def test_the_data_report_is_inside_a_sandbox(page):
    assert page.source.count('sandbox="allow-scripts"') == 1
    assert "Since plates_train_v1" in page.source
    assert "Since plates_train_v1" not in page.text


def test_the_page_is_small_enough_to_send(page):
    assert len(page.source) < 5_000_000


def test_equal_runs_give_equal_pages(finished, page, tmp_path):
    write_run_page(tmp_path / "again", finished.page)
    assert (tmp_path / "again").read_text(encoding="utf-8") == page.source


def test_a_failed_run_says_why_and_what_is_missing(finished, tmp_path, open_page):
    states = ("succeeded", "succeeded", "failed", "skipped", "skipped")
    reason = "StepError: the loss is not finite at iteration 120: lower train.learning_rate"
    tasks = [
        dataclasses.replace(task, state=state, message=reason if state == "failed" else "", seconds=None)
        for task, state in zip(finished.page.tasks, states, strict=True)
    ]
    run = dataclasses.replace(
        finished.page, state="failed", tasks=tasks, results={}, files={}, seconds=None, message=reason
    )
    page = shown(run, tmp_path, open_page)
    page.has(f"Train failed {reason}", "Record left no result", "Train left no history")
    page.has("Neither evaluate nor test left a summary")
    assert page.text.count(reason) == 2  # at the top and in the task, and not once more for the run
    assert "Confusion" not in page.text


def test_a_run_that_failed_before_its_tasks_says_why(finished, tmp_path, open_page):
    run = dataclasses.replace(finished.page, state="failed", tasks=[], results={}, files={}, message="No such tag.")
    shown(run, tmp_path, open_page).has("No such tag.", "No task was recorded.")


def test_files_that_are_gone_or_damaged_are_named_and_the_rest_is_shown(finished, tmp_path, open_page):
    for name in ("record", "train", "evaluate"):
        (tmp_path / name).mkdir()
    (tmp_path / "train" / "history.json").write_text('[{"iteration": 1}, 7]')
    (tmp_path / "evaluate" / "summary.json").write_text("{")
    files = {name: tmp_path / name for name in ("record", "train", "evaluate")}
    page = shown(dataclasses.replace(finished.page, files=files), tmp_path, open_page)
    page.has("report.html: the data report cannot be shown: No such file or directory; run record again")
    page.has("history.json: no training history to draw", "summary.json: no summary to report on")
    page.has("plates v2", "Neither evaluate nor test left a summary")


def test_without_test_the_val_split_is_shown(finished, tmp_path, open_page):
    files = {"evaluate": finished.folders["evaluate"]}
    page = shown(dataclasses.replace(finished.page, files=files), tmp_path, open_page)
    page.has("box_AP50 val only 0.930", "On the val split.", "annotations/plates/val_0000.png")


def test_selections_are_known_from_the_result_alone(finished, tmp_path, open_page):
    one = {"metric": "EIR", "uri": "u", "sha256": "s", "name": "last", "value": 0.9, "previous_sha256": "",
           "previous_value": None, "promoted": True, "reason": "There was no champion."}  # fmt: skip
    run = dataclasses.replace(finished.page, results={"evaluate": {"selections": [one]}}, files={})
    shown(run, tmp_path, open_page).has("by EIR last new champion 0.900 There was no champion.")


def test_hostile_texts_stay_text(finished, tmp_path, open_page):
    bad = '"></svg></style><script>alert(1)</script>'
    task = TaskView(bad, bad, "failed", 1.0, {bad: bad}, {bad: bad * 20}, bad)
    run = dataclasses.replace(
        finished.page, run_id=bad, recipe=bad, overrides=[bad], dataset_tag=bad, code_rev=bad, configuration=bad,
        command=bad, tasks=[task], edges=[], index_link="javascript:alert(1)",
    )  # fmt: skip
    page = shown(run, tmp_path, open_page)
    assert page.text.count(bad) > 30
    assert not any(link.startswith("javascript:") for link in page.links)


def test_long_values_are_folded(finished, tmp_path, open_page):
    task = TaskView("a", "A", "succeeded", 1.0, {"config": "x" * 401}, {"short": "y" * 400})
    run = dataclasses.replace(finished.page, tasks=[task], edges=[], results={}, files={})
    page = shown(run, tmp_path, open_page)
    page.has("401 characters", "y" * 400)
