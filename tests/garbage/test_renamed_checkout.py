"""gc lists checkouts while another process renames or removes them."""

from pathlib import Path

from sightline.garbage.data_cache import _listed_again


def test_a_checkout_that_was_completed_meanwhile_is_listed_under_its_name(tmp_path):
    (tmp_path / "v1-abc" / "training").mkdir(parents=True)
    (tmp_path / "v1-abc" / "training" / "plates.dvc").touch()
    listed = tmp_path / "v1-abc.part"  # when the room was listed
    assert _listed_again(listed, "*/*.dvc") == [tmp_path / "v1-abc" / "training" / "plates.dvc"]


def test_a_folder_that_vanishes_while_it_is_listed_has_no_files(tmp_path, monkeypatch):
    def vanished(self, pattern):
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "glob", vanished)
    assert _listed_again(tmp_path / "v1-abc.part", "*/*.dvc") == []
