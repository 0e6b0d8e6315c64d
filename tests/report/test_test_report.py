from sightline.report.test_report import write_test_report


def test_the_report_shows_the_selected_models_and_unlabelled_images(finished, tmp_path, open_page):
    write_test_report(tmp_path / "report.html", finished.folders["test"])
    page = open_page(tmp_path / "report.html")
    page.has("plates_train_v2", "split test", "images 60", "unlabelled images 1")
    page.has("On images that nothing was decided on.", "0.915", "Model: best")
    page.has("street.png · best", "2 more images")
    # Eight pairs, one unlabelled image, and the readings' images again in small.
    assert len(page.loads) == 8 * 2 + 1 + 8


def test_equal_folders_give_equal_pages(finished, tmp_path):
    for name in ("a", "b"):
        write_test_report(tmp_path / name, finished.folders["test"])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
