import dataclasses
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from sightline.report.page import alone
from sightline.report.pages.run_page import TaskView, write_run_page
from sightline.report.pages.summary import SUMMARY
from sightline.report.sections import TableSection
from tests.report.conftest import Page, build_run


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
    page.has("box_AP50 test split 0.915 best , new champion by mask_AP; val 0.930")
    page.has("EIR test split 0.871 last , new champion by EIR; val 0.882", "plates read exactly, score ≥ 0.4")
    page.has("by mask_AP, on the val split best new champion", "last has the highest EIR")
    page.has(
        "plates v2 · plates_ann_v2 → plates_train_v2",
        "7 \N{MULTIPLICATION SIGN} outside image, 2 \N{MULTIPLICATION SIGN} duplicate shape",
    )
    page.has("400 iterations in 4 min 22 s; candidates: best (iteration 400), last (iteration 400).")
    page.has("Loss", "Validation", "Learning rate", "Images per second")
    page.has("On 60 images of the val split.", "7.2 images/s", "138 ms per image")
    page.has("sightline run plates --tag plates_ann_v2 --set train.iterations=400", "recipe: plates")
    page.has("tensorboard --logdir '/work/my runs/tensorboard'")
    page.has("photo.jpg --out predictions")
    assert "--score" not in page.text  # it would replace the thresholds of the model
    page.has("device AMD EPYC 7763", "threads 2 2", "peak memory 1.23 GiB 0.50 GiB", "torch 2.9.1+cpu")
    assert "../index.html" in page.links
    assert "GPU memory" not in page.text  # nothing computed on one


def test_every_number_that_depends_on_a_threshold_names_it(page):
    page.has("AP: mean over IoU 0.50 to 0.95; AP50 and AP75: at IoU 0.5 and 0.75; dv_mAP: at IoU 0.6")
    page.has("EIR: score ≥ 0.4.", "On the test split. Boxes at IoU 0.5, score ≥ 0.4.")
    page.has("prediction of best, score ≥ 0.4", "On the test split. Wrong readings first, score ≥ 0.4")


def test_precision_recall_and_f1_are_drawn_with_the_best_threshold(finished, page):
    curve = json.loads((finished.folders["test"] / "summary.json").read_text())["models"]["best"]["confidence"]["box"]
    best = curve["best_threshold"]
    page.has(f"best F1 {max(curve['f1']):.3f} at {best:g}")
    drawn = re.search(r'data-name="precision" data-values="([^"]*)"', page.source)[1].split()
    assert drawn[0] == f"0:{curve['precision'][0]:.4g}"
    assert len(drawn) == 96  # no line where no detection is left
    assert ">score threshold</text>" in page.source


def test_the_worst_images_come_first(page):
    shown = re.findall(r'<div class="what">[^<]*_(\d{4})\.png · (\d+) missed', page.source)
    assert [int(number) for number, _ in shown[:7]] == [7, 6, 4, 5, 3, 1, 2]  # 4 and 1 have one of a wrong class too
    page.has("annotations/plates/test_0007.png · 7 missed, 1 of a wrong class (10 objects)")


def test_drawn_images_are_linked_where_they_lie_and_named_where_not(finished, page, tmp_path, open_page):
    assert "drawn/best/7.jpg" not in page.source
    page.has("All drawn images are in gs://results/test/drawn")
    target = tmp_path / "report" / "index.html"
    folder = Path(os.path.relpath(finished.folders["test"], target.parent)).as_posix()
    linked = shown(dataclasses.replace(finished.page, drawn_links={"test": folder}, index_link=""), tmp_path, open_page)
    links = [link for link in linked.links if not link.startswith(("#", "data:"))]
    assert len(links) == 2 * 8 + 1  # truth and prediction, and one unlabelled image
    assert all((target.parent / link).is_file() for link in links)


def test_a_copy_of_the_page_leads_nowhere_that_is_not_there(finished, tmp_path):
    path = tmp_path / "index.html"
    write_run_page(path, dataclasses.replace(finished.page, drawn_links={"test": "../test"}))
    whole, copy = (Page(text.decode()) for text in (path.read_bytes(), alone(path.read_bytes())))
    assert "../index.html" in whole.links
    assert [link for link in copy.links if not link.startswith("#")] == ["data:,"]
    assert "All runs" not in copy.text
    copy.has("plates-20261121-0753-k3f9 succeeded", "EIR test split 0.871")


def changed_summaries(finished, folder, change):
    """Copies of evaluate's and test's folders with other summaries."""
    files = dict(finished.folders)
    for step in ("evaluate", "test"):
        files[step] = folder / step
        shutil.copytree(finished.folders[step], files[step])
        document = json.loads((files[step] / "summary.json").read_text())
        change(document)
        (files[step] / "summary.json").write_text(json.dumps(document))
    return files


def test_a_run_without_plates_does_not_speak_of_them(finished, tmp_path, open_page):
    def without_readings(document):
        document["selections"] = [one for one in document["selections"] if one["metric"] != "EIR"]
        for model in document["models"].values():
            del model["readings"], model["metrics"]["EIR"]
        for item in [*document["drawn"], *document.get("unlabelled", [])]:
            item.pop("read", None)

    files = changed_summaries(finished, tmp_path, without_readings)
    del files["record"]
    tasks = [dataclasses.replace(task, inputs={}, outputs={}) for task in finished.page.tasks]
    run = dataclasses.replace(
        finished.page, files=files, tasks=tasks, recipe="shapes", dataset_tag="shapes_ann_v1", command="again",
        run_id="r", overrides=[], configuration="", results={"test": finished.page.results["test"]},
    )  # fmt: skip
    page = shown(run, tmp_path, open_page)
    words = re.sub(r"annotations/plates/\S*|plates_train_v\d|evaluation/plates\S*", "", page.text)
    assert not re.search(r"plate|\bEIR|\bread", words, re.IGNORECASE)
    assert "readings" not in page.ids


def test_the_champion_that_stayed_stands_beside_the_runs_own_candidate(finished, tmp_path, open_page):
    def champion_stays(document):
        for one in document["selections"]:
            champion = document["models"]["champion"]
            one |= {"name": "champion", "promoted": False, "value": champion["metrics"][one["metric"]]}
            one |= {"sha256": champion["sha256"], "reason": "The champion stays."}
        if document["split"] == "test":
            document["models"]["champion"] = document["models"]["best"] | {"sha256": "c" * 64, "metrics": {"EIR": 0.5}}

    files = changed_summaries(finished, tmp_path, champion_stays)
    page = shown(dataclasses.replace(finished.page, files=files), tmp_path, open_page)
    page.has("EIR test split 0.871 last , best candidate by EIR; val 0.882 champion stays: 0.500 on test")
    page.has(
        "box_AP50 test split 0.915 best , best candidate by mask_AP; val 0.930 champion stays: not measured on test"
    )
    page.has("by EIR, on the val split last champion stays 0.882")


def test_a_key_number_has_the_interval_of_its_split(finished, tmp_path, open_page):
    def with_intervals(document):
        for model in document["models"].values():
            model["intervals"] = {"EIR": [0.8, 0.9] if document["split"] == "test" else [0.6, 0.7]}

    files = changed_summaries(finished, tmp_path, with_intervals)
    page = shown(dataclasses.replace(finished.page, files=files), tmp_path, open_page)
    page.has("EIR test split 0.871 95 % interval 0.800 to 0.900 last , new champion by EIR; val 0.882")
    page.has("no decision was based on. Below a value is its 95 % interval.")


def test_a_metric_of_the_recipe_that_selects_is_a_key_number(finished, tmp_path, open_page):
    def with_own_metric(document):
        for selection in document["selections"][:1]:
            selection["metric"] = "cup_recall"
        for model in document["models"].values():
            model["metrics"]["cup_recall"] = 0.25

    files = changed_summaries(finished, tmp_path, with_own_metric)
    page = shown(dataclasses.replace(finished.page, files=files), tmp_path, open_page)
    page.has("cup_recall test split 0.250", "new champion by cup_recall; val 0.250 metric of the recipe")


def test_the_graph_is_there_for_wide_and_narrow_and_leads_to_the_tasks(page):
    assert page.links.count("#task-train") == 2
    assert "task-train" in page.ids
    assert page.source.count('<path class="arrow"') == 12
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
    states = ("succeeded", "succeeded", "failed", "skipped", "skipped", "skipped", "succeeded")
    reason = "StepError: the loss is not finite at iteration 120: lower train.learning_rate"
    tasks = [
        dataclasses.replace(task, state=state, message=reason if state == "failed" else "", seconds=None)
        for task, state in zip(finished.page.tasks, states, strict=True)
    ]
    run = dataclasses.replace(
        finished.page, state="failed", tasks=tasks, results={}, files={}, seconds=None, message=reason
    )
    page = shown(run, tmp_path, open_page)
    page.has(
        f"Train failed {reason}", "Record has no result", "Train has no history", "Neither train nor test finished"
    )
    assert page.source.count('class="failed"><title>Train: failed') == 2  # red, in both graphs
    page.has("Train \N{EN DASH} failed")
    page.has("Neither evaluate nor test has a summary")
    assert page.text.count(reason) == 2  # at the top and in the task, and not once more for the run
    assert "Confusion" not in page.text


def test_a_run_that_failed_before_its_tasks_says_why(finished, tmp_path, open_page):
    run = dataclasses.replace(finished.page, state="failed", tasks=[], results={}, files={}, message="No such tag.")
    shown(run, tmp_path, open_page).has("No such tag.", "No tasks were recorded.")


def test_files_that_are_gone_or_damaged_are_named_and_the_rest_is_shown(finished, tmp_path, open_page):
    for name in ("record", "train", "evaluate"):
        (tmp_path / name).mkdir()
    (tmp_path / "train" / "history.json").write_text('[{"iteration": 1}, 7]')
    (tmp_path / "evaluate" / "summary.json").write_text("{")
    files = {name: tmp_path / name for name in ("record", "train", "evaluate")}
    page = shown(dataclasses.replace(finished.page, files=files), tmp_path, open_page)
    page.has("report.html: cannot show the data report: No such file or directory; run record again")
    page.has("history.json: cannot read the training history", "summary.json: cannot read the summary")
    page.has("plates v2", "Neither evaluate nor test has a summary")


def test_without_test_the_val_split_is_shown(finished, tmp_path, open_page):
    files = {"evaluate": finished.folders["evaluate"]}
    page = shown(dataclasses.replace(finished.page, files=files), tmp_path, open_page)
    page.has("box_AP50 val split 0.930", "On the val split", "annotations/plates/val_0000.png")


def test_selections_are_known_from_the_result_alone(finished, tmp_path, open_page):
    one = {"metric": "EIR", "uri": "u", "sha256": "s", "name": "last", "value": 0.9, "previous_sha256": "",
           "previous_value": None, "promoted": True, "reason": "There was no champion."}  # fmt: skip
    run = dataclasses.replace(finished.page, results={"evaluate": {"selections": [one]}}, files={})
    page = shown(run, tmp_path, open_page)
    page.has("by EIR, on the val split last new champion 0.900 There was no champion. no previous champion")


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


def test_what_is_chosen_on_val_is_shown_beside_the_sections_of_test(tmp_path, open_page):
    folder = tmp_path / "run"
    run = build_run(folder)
    path = run.folders["evaluate"] / "summary.json"
    document = SUMMARY.upgrade(json.loads(path.read_text()))
    chosen = TableSection(id="thresholds", title="Best threshold", lead="Chosen.", rows={"7": {"threshold": 0.25}})
    document["models"]["best"]["sections"].append(chosen.model_dump(mode="json"))
    path.write_text(json.dumps(document))
    write_run_page(tmp_path / "page.html", run.page)
    page = open_page(tmp_path / "page.html")
    page.has("Best threshold", "On the val split. Chosen.")
    assert page.ids.count("classes") == page.ids.count("thresholds") == 1
    assert "#thresholds" in page.links
