from sightline.report.page import alone
from sightline.report.pages.test_report import write_test_report
from tests.report.conftest import Page


def test_the_report_shows_the_selected_models_and_unlabelled_images(finished, tmp_path, open_page):
    write_test_report(tmp_path / "report.html", finished.folders["test"])
    page = open_page(tmp_path / "report.html")
    page.has("plates_train_v2", "split test", "images 60", "unlabeled images 1")
    page.has("On images that no decision was based on.", "0.915", "street.png · best", "2 more images")
    # Eight pairs, one unlabelled image, and the readings' images again in small.
    assert len(page.loads) == 8 * 2 + 1 + 8


def test_every_drawn_image_is_linked_where_it_lies_beside_the_page_and_not_in_a_copy(finished, open_page):
    folder = finished.folders["test"]
    write_test_report(folder / "report.html", folder)
    links = [link for link in open_page(folder / "report.html").links if not link.startswith(("#", "data:"))]
    assert {f"drawn/best/{number}.jpg" for number in range(8)} <= set(links)
    assert all((folder / link).is_file() for link in links)
    copy = Page(alone((folder / "report.html").read_bytes()).decode())
    assert [link for link in copy.links if not link.startswith("#")] == ["data:,"]
    (folder / "report.html").unlink()


def test_equal_folders_give_equal_pages(finished, tmp_path):
    for name in ("a", "b"):
        write_test_report(tmp_path / name, finished.folders["test"])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
