"""Images without labels: what is taken, and what is left out."""

import pytest

from sightline.errors import DataError
from sightline.prediction import unlabelled
from sightline.prediction.unlabelled import UnlabelledFolder
from sightline.storage import open_storage
from tests.labelled_folder import write_picture


@pytest.mark.parametrize("given", ["path", "uri"])
def test_hidden_files_and_other_files_are_no_images(tmp_path, given):
    folder = tmp_path / "new"
    for name in ("a.jpg", "b/a.JPG", ".trash/c.jpg", "b/._a.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_picture(folder / name.replace("JPG", "jpg"), seed=name)
    (folder / "notes.txt").write_text("no image")
    found = UnlabelledFolder.open(str(folder) if given == "path" else folder.as_uri(), tmp_path / "out", (), 10**6)
    assert [one["file_name"] for one in found.listed] == ["a.jpg", "b/a.jpg"]
    assert (tmp_path / "out/b/a.jpg").read_bytes() == (folder / "b/a.jpg").read_bytes()
    assert found.notes == []


def test_a_name_that_leads_outside_is_left_out(tmp_path, monkeypatch):
    write_picture(tmp_path / "a.jpg", seed="a")
    write_picture(tmp_path / "b.jpg", seed="b")
    storage = open_storage(str(tmp_path))

    class Bucket:
        """A bucket whose keys are those of somebody hostile."""

        uri_of = staticmethod(storage.uri_of)

        def list(self):
            for info in storage.list():
                yield type(info)(**{**{name: getattr(info, name) for name in info.__slots__}, "key": f"../{info.key}"})

        def read_bytes(self, key):
            return storage.read_bytes(key.removeprefix("../"))

    monkeypatch.setattr(unlabelled, "open_storage", lambda uri: Bucket())
    with pytest.raises(DataError, match=r"\.\./a\.jpg"):
        UnlabelledFolder.open("x", tmp_path / "new" / "out", (), 10**6)
    assert not (tmp_path / "new" / "a.jpg").exists()
