import dataclasses

from PIL import Image

from sightline.errors import DataError
from sightline.report.pages.data_report import DataReport, Example, quantiles, write_data_report
from tests.golden import raises


def test_the_report_says_everything(tmp_path, open_page, data_report):
    report = data_report
    write_data_report(tmp_path / "report.html", report)
    page = open_page(tmp_path / "report.html")
    page.has("plates v2", "plates_ann_v2", "plates_train_v2", "9f2c61d0aa3b")
    page.has("1\u202f234", "91 % of 1\u202f355 images")
    page.has("class 'e' has no instance in the test split")
    page.has("Since plates_train_v1", "900", "455")
    page.has("outside image 7", "duplicate shape 2", "ignored labels 3")
    page.has("384 \N{MULTIPLICATION SIGN} 288 1\u202f300", "203 faults", "img_0199.json", "3 more.")
    page.has("annotations/plates/img_0005.png · train")
    page.has("48 images are in 21 such groups; the largest are listed.", "frame_5.jpg and 2 more", "a.jpg · b.jpg")
    assert "img_0200.json" not in page.text
    train = report.instances["train"]["r_board"]
    page.has(f"r_board {train} {train // 6} {train // 7}")
    assert len(page.loads) == 1


def test_a_class_without_instances_counts_as_none(tmp_path, open_page):
    report = DataReport(
        "d", "v1", "d_ann_v1", "d_train_v1", "c0ffee", ["cat", "dog"], {"train": 1}, {"train": {"cat": 5}}
    )
    write_data_report(tmp_path / "report.html", report)
    page = open_page(tmp_path / "report.html")
    page.has("cat 5", "dog 0", "Nothing was left out")


def test_classes_of_whole_images_are_counted_in_images(tmp_path, open_page):
    counts = {"train": {"cat": 5, "dog": 7}}
    report = DataReport("d", "v1", "a", "t", "c", ["cat", "dog"], {"train": 12}, counts, counted="images")
    write_data_report(tmp_path / "report.html", report)
    page = open_page(tmp_path / "report.html")
    page.has("Images of each class in each split.", "class images train", "cat 5", "dog 7")
    assert "nstances" not in page.text


def test_an_empty_dataset_has_a_report(tmp_path, open_page):
    write_data_report(tmp_path / "r.html", DataReport("d", "v1", "a", "t", "c", [], {}, {}))
    open_page(tmp_path / "r.html").has("d v1")


def test_hostile_names_stay_text(tmp_path, open_page, data_report):
    bad = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    report = dataclasses.replace(
        data_report,
        dataset=bad,
        classes=[bad],
        instances={bad: {bad: 3}},
        images={bad: 1},
        areas={bad: quantiles([1.0, 9.0])},
        dropped={bad: 1},
        warnings=[bad],
        faults=[bad],
        near_duplicates=[[bad, bad]],
        examples=[Example(bad, Image.new("RGB", (9, 9)), bad)],
    )
    write_data_report(tmp_path / "r.html", report)
    page = open_page(tmp_path / "r.html")
    assert page.text.count(bad) >= 10


def test_many_sizes_are_summed_up(tmp_path, open_page, data_report):
    sizes = {(100 + number, 50): 100 - number for number in range(20)}
    write_data_report(tmp_path / "r.html", dataclasses.replace(data_report, image_sizes=sizes))
    page = open_page(tmp_path / "r.html")
    page.has("100 \N{MULTIPLICATION SIGN} 50 100", "111 \N{MULTIPLICATION SIGN} 50 89", "8 other sizes 676")
    assert "112 \N{MULTIPLICATION SIGN} 50" not in page.text


def test_sizes_of_instances_are_sides_of_squares(tmp_path, open_page, data_report):
    report = dataclasses.replace(data_report, areas={"0": [16.0, 25.0, 100.0, 400.0, 2500.0]})
    write_data_report(tmp_path / "r.html", report)
    open_page(tmp_path / "r.html").has("0 4 10 50")


def test_quantiles():
    assert quantiles(list(range(101))) == [0.0, 25.0, 50.0, 75.0, 100.0]


def test_equal_reports_give_equal_files(tmp_path, data_report):
    for name in ("a", "b"):
        write_data_report(tmp_path / name, data_report)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_example_without_its_file_is_an_error(tmp_path, data_report):
    report = dataclasses.replace(data_report, examples=[Example("x", tmp_path / "gone.png", "train")])
    with raises(DataError, "gone.png"):
        write_data_report(tmp_path / "r.html", report)
    assert not (tmp_path / "r.html").exists()
