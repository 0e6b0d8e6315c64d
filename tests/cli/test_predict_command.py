"""predict: which images are taken, what their files are called, and that nobody's file is ever replaced."""

import hashlib
import json
from contextlib import closing

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from sightline.cli.model import command
from sightline.database import ModelRecord, open_database
from sightline.errors import DataError, ModelFileError, StepError, UnknownNameError
from sightline.models.model_file import save_model
from sightline.registry.champions import ChampionPointer, write_champion
from sightline.storage import open_storage
from sightline.tasks.instance_segmentation.network import build_detector
from tests.golden import raises
from tests.squares import TINY_MODEL, draw, make_card


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "model.safetensors"
    save_model(path, build_detector(TINY_MODEL, 2), make_card())
    return path


@pytest.fixture(autouse=True)
def inside(tmp_path, monkeypatch):
    """Paths are relative to a folder of this test alone."""
    monkeypatch.chdir(tmp_path)


def predict(*arguments, **options):
    return (
        CliRunner()
        .invoke(command, ["predict", *map(str, arguments), "--device", "cpu"], catch_exceptions=False, **options)
        .output
    )


def images(tmp_path, *names):
    for index, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        draw(index)[0].save(tmp_path / name)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def results(folder):
    return sorted(name for name in contents(folder) if name != "predictions.jsonl")


NOWHERE = "nowhere.safetensors"
"""A model that is not there: whoever loads it before the refusal fails otherwise."""


class TestNothingIsLost:
    @pytest.mark.parametrize(
        ("image", "out"),
        [
            ("photos/a.png", "photos"),
            ("photos", "photos"),
            ("photos/*.png", "photos"),
            ("photos/a.png", "photos/../photos/."),
            ("photos/a.png", "link"),
            ("link/a.png", "photos"),
            ("link", "photos"),
            ("a-link.png", "twin"),
        ],
    )
    def test_originals(self, tmp_path, image, out):
        images(tmp_path, "photos/a.png")
        (tmp_path / "photos" / "a.json").write_text('{"shapes": []}')
        (tmp_path / "link").symlink_to("photos")
        (tmp_path / "a-link.png").symlink_to("photos/a.png")
        (tmp_path / "twin").mkdir()
        (tmp_path / "twin" / "a-link.png").hardlink_to(tmp_path / "photos" / "a.png")
        before = contents(tmp_path)
        with raises(DataError):
            predict(NOWHERE, image, "--out", out)
        assert contents(tmp_path) == before

    @pytest.mark.parametrize("kind", ["drawing", "labels", "link", "broken link", "hard link", "folder", "parent"])
    def test_what_lies_where_an_output_goes(self, tmp_path, kind):
        images(tmp_path, "photos/sub/a.png", "elsewhere/b.png")
        place = tmp_path / "out" / "sub" / "a.png"
        place.parent.mkdir(parents=True)
        other = tmp_path / "elsewhere" / "b.png"
        if kind == "drawing":
            place.write_bytes(other.read_bytes())
        elif kind == "labels":
            place.with_suffix(".json").write_text("{}")
        elif kind == "link":
            place.symlink_to(other)
        elif kind == "broken link":
            place.symlink_to("nowhere")
        elif kind == "hard link":
            place.hardlink_to(other)
        elif kind == "folder":
            place.mkdir()
        else:
            place.parent.rmdir()
            place.parent.write_text("mine")
        before = contents(tmp_path)
        with raises(DataError):
            predict(NOWHERE, "photos", "--out", "out")
        assert contents(tmp_path) == before

    def test_a_linked_folder_in_the_output_folder(self, tmp_path):
        images(tmp_path, "photos/sub/a.png")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "sub").symlink_to(tmp_path / "photos" / "sub")
        with raises(DataError):
            predict(NOWHERE, "photos", "--out", "out")

    def test_own_files_are_replaced_and_changed_ones_are_not(self, model, tmp_path):
        images(tmp_path, "a.png", "b.png")
        predict(model, "a.png", "b.png", "--out", "out", "--score", "1")
        first = contents(tmp_path / "out")
        predict(model, "a.png", "b.png", "--out", "out", "--score", "0")
        second = contents(tmp_path / "out")
        assert first.keys() == second.keys()
        assert first["a.json"] != second["a.json"]
        (tmp_path / "out" / "a.json").write_text('{"mine": true}')
        with raises(DataError, "out/a.json"):
            predict(NOWHERE, "a.png", "b.png", "--out", "out")
        assert (tmp_path / "out" / "a.json").read_text() == '{"mine": true}'

    def test_a_killed_call_leaves_nothing_that_the_next_one_refuses(self, model, tmp_path, monkeypatch):
        from sightline.data import output_folder

        images(tmp_path, "a.png", "b.png")
        real = output_folder.OutputFolder._replace

        def killed(self, path, content):
            if path.name == "b.json":
                raise KeyboardInterrupt
            real(self, path, content)

        with monkeypatch.context() as patch:
            patch.setattr(output_folder.OutputFolder, "_replace", killed)
            CliRunner().invoke(command, ["predict", str(model), "a.png", "b.png", "--out", "out"])
        assert results(tmp_path / "out") == ["a.json", "a.png", "b.png"]
        with (tmp_path / "out" / "predictions.jsonl").open("a") as stream:
            stream.write('{"file": "half of a li')
        predict(model, "a.png", "b.png", "--out", "out")
        assert results(tmp_path / "out") == ["a.json", "a.png", "b.json", "b.png"]

    @pytest.mark.parametrize(
        "content", ["", "{}\n", '{"a": 1}', '[{"image_id": 1}]\n', '{"sightline": "fetched", "format": 1}\n']
    )
    def test_a_list_of_somebody_else(self, tmp_path, content):
        images(tmp_path, "a.png")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "predictions.jsonl").write_text(content)
        with raises(DataError):
            predict(NOWHERE, "a.png", "--out", "out")
        assert (tmp_path / "out" / "predictions.jsonl").read_text() == content

    def test_the_output_is_a_file(self, tmp_path):
        images(tmp_path, "a.png")
        with raises(DataError):
            predict(NOWHERE, "a.png", "--out", "a.png")

    def test_an_image_that_somebody_put_into_the_output_folder_is_not_passed_over(self, tmp_path, model):
        images(tmp_path, "photos/a.png")
        predict(model, "photos", "--out", "photos/out")
        images(tmp_path, "photos/out/mine.png")
        with raises(DataError, "photos/out/mine.png"):
            predict(NOWHERE, "photos", "--out", "photos/out")


class TestImages:
    def test_a_folder_is_mirrored(self, model, tmp_path):
        images(
            tmp_path,
            "p/a.png",
            "p/deep/er/a.jpg",
            "p/고양이/ü 1.PNG",
            "p/.hidden.png",
            "p/.git/x.png",
            "p/__MACOSX/y.png",
        )
        (tmp_path / "p" / "notes.txt").write_text("no image")
        predict(model, "p", "--out", "out")
        assert results(tmp_path / "out") == [
            "a.json", "a.png", "deep/er/a.json", "deep/er/a.png", "고양이/ü 1.json", "고양이/ü 1.png",
        ]  # fmt: skip
        assert json.loads((tmp_path / "out" / "deep" / "er" / "a.json").read_text())["image"] == "p/deep/er/a.jpg"

    def test_a_second_call_does_not_read_its_own_drawings(self, model, tmp_path):
        images(tmp_path, "a.png", "sub/b.png")
        predict(model, ".", "--out", "other")
        for _ in range(2):
            predict(model, ".")
        assert results(tmp_path / "predictions") == ["a.json", "a.png", "sub/b.json", "sub/b.png"]

    def test_a_loop_of_links_and_an_image_named_twice(self, model, tmp_path):
        images(tmp_path, "p/a.png", "far/b.png")
        (tmp_path / "p" / "loop").symlink_to(tmp_path / "p")
        (tmp_path / "p" / "far").symlink_to(tmp_path / "far")
        predict(model, "p", "p/a.png", "far/b.png", "--out", "out")
        assert results(tmp_path / "out") == ["a.json", "a.png", "far/b.json", "far/b.png"]

    def test_patterns(self, model, tmp_path):
        images(tmp_path, "p/a.png", "p/x/b.png", "p/x/c.jpg", "q/d[1].png")
        predict(model, "p/**/*.png", "--out", "one")
        assert results(tmp_path / "one") == ["a.json", "a.png", "x/b.json", "x/b.png"]
        predict(model, str(tmp_path / "p" / "x" / "?.*"), "--out", "two")
        assert results(tmp_path / "two") == ["b.json", "b.png", "c.json", "c.png"]
        predict(model, "q/d[1].png", "--out", "three")
        assert results(tmp_path / "three") == ["d[1].json", "d[1].png"]

    def test_equal_names_in_several_folders(self, model, tmp_path):
        images(tmp_path, "a/0.png", "b/0.png", "b/1.png")
        predict(model, "a/0.png", "b/0.png", "b/1.png", "--out", "files")
        predict(model, "a", "b", "--out", "folders")
        expected = ["a/0.json", "a/0.png", "b/0.json", "b/0.png", "b/1.json", "b/1.png"]
        assert results(tmp_path / "files") == results(tmp_path / "folders") == expected

    def test_equal_stems_with_other_endings_or_another_case(self, model, tmp_path):
        names = ["a.png", "a.jpg", "B.png", "b.PNG", "a.jpg.png", "predictions.png"]
        images(tmp_path, *(f"p/{name}" for name in names))
        predict(model, "p", "--out", "out", "--score", "1")
        found = results(tmp_path / "out")
        assert len({name.casefold() for name in found}) == len(found) == 12
        said = {json.loads((tmp_path / "out" / name).read_text())["image"] for name in found if name.endswith(".json")}
        assert said == {f"p/{name}" for name in names}

    @pytest.mark.parametrize(
        ("named", "message"),
        [
            ("none.png", "none.png"),
            ("empty", "empty"),
            ("empty/*.png", "empty/*.png"),
            ("broken-link.png", "broken-link.png"),
        ],
    )
    def test_what_is_no_image(self, tmp_path, named, message):
        (tmp_path / "empty").mkdir()
        (tmp_path / "empty" / "notes.txt").write_text("")
        (tmp_path / "broken-link.png").symlink_to("nowhere")
        with raises(DataError, message):
            predict(NOWHERE, named)
        assert not (tmp_path / "predictions").exists()

    def test_broken_images_do_not_stop_the_others(self, model, tmp_path, capsys):
        images(tmp_path, "p/1.png", "p/3.png", "p/5.png")
        (tmp_path / "p" / "2.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
        (tmp_path / "p" / "4.png").write_bytes(b"")
        Image.new("L", (400, 300)).save(tmp_path / "p" / "6.png")
        with pytest.raises(DataError) as caught:
            predict(model, "p", "--out", "out", "--max-pixels", 100_000)
        assert results(tmp_path / "out") == [f"{n}.{end}" for n in (1, 3, 5) for end in ("json", "png")]
        lines = str(caught.value).splitlines()
        assert lines[0] == "3 of 6 images could not be read:"
        assert [line.split(":")[0].strip() for line in lines[1:]] == ["p/2.jpg", "p/4.png", "p/6.png"]
        assert "--max-pixels = 100,000" in lines[3]
        assert "data.max_pixels" not in str(caught.value)
        predict(model, "p/6.png", "--out", "out", "--max-pixels", 120_000)
        assert (tmp_path / "out" / "6.json").is_file()


class TestModels:
    @pytest.fixture
    def bucket(self, tmp_path, sightline_home):
        """A bucket and a database with two models, and champions of two datasets."""
        uri, url = (tmp_path / "bucket").as_uri(), f"sqlite:///{tmp_path / 'db.sqlite'}"
        (sightline_home / "settings.yaml").write_text(f"storage: {{uri: '{uri}'}}\ndatabase: {{url: '{url}'}}\n")
        storage, shas = open_storage(uri), []
        for seed in range(2):
            torch.manual_seed(seed)
            save_model(tmp_path / "m.safetensors", build_detector(TINY_MODEL, 2), make_card(iteration=seed))
            data = (tmp_path / "m.safetensors").read_bytes()
            shas.append(hashlib.sha256(data).hexdigest())
            storage.write_bytes(f"models/{seed}/model.safetensors", data)
        (tmp_path / "m.safetensors").unlink()
        with closing(open_database(url)) as database:
            for seed, sha256 in enumerate(shas):
                place = storage.uri_of(f"models/{seed}/model.safetensors")
                database.register_model(ModelRecord(sha256, place, "instance_segmentation", "s_train_v1", None, ""))
        for dataset, metric, seed in (("one", "mask_AP", 0), ("two", "mask_AP", 0), ("two", "box_AP", 1)):
            place = storage.uri_of(f"models/{seed}/model.safetensors")
            write_champion(storage, dataset, ChampionPointer(metric, shas[seed], place, "s_train_v1", 0.5, "", ""), 0)
        for metric in ("box_AP", "EIR"):
            pointer = ChampionPointer(metric, shas[1], place, "s_train_v1", 0.5, "", "", task="object_detection")
            write_champion(storage, "detection", pointer, 0)
        return storage, shas

    @staticmethod
    def shown(name):
        output = CliRunner().invoke(command, ["show", name, "--json"], catch_exceptions=False).output
        return json.loads(output)["iteration"]

    def test_every_name_of_a_model(self, bucket):
        storage, shas = bucket
        assert self.shown(storage.uri_of("models/1/model.safetensors")) == 1
        assert [self.shown(sha256[:6]) for sha256 in shas] == [0, 1]
        assert self.shown(shas[1].upper()) == 1
        assert self.shown("champion:one") == self.shown("champion:one/mask_AP") == 0
        assert self.shown("champion:detection/object_detection/EIR") == self.shown("champion:detection/EIR") == 1
        assert self.shown("champion:two/box_AP") == 1

    def test_predict_takes_them_too(self, bucket, tmp_path):
        images(tmp_path, "a.png")
        predict("champion:two/box_AP", "a.png", "--out", "one", "--score", "0")
        predict(bucket[1][1][:8], "a.png", "--out", "two", "--score", "0")
        assert contents(tmp_path / "one") == contents(tmp_path / "two")

    @pytest.mark.parametrize(
        ("name", "error", "message"),
        [
            (
                "champion:two",
                ModelFileError,
                "champion:two/mask_AP",
            ),
            ("champion:two/EIR", ModelFileError, "mask_AP"),
            ("champion:three", ModelFileError, "three"),
            ("champion:", ModelFileError, "champion:DATASET"),
            ("champion:detection/dv_mAP", ModelFileError, "object_detection/EIR"),
            ("champion:one/", ModelFileError, "champion:DATASET"),
            ("000000", UnknownNameError, "000000"),
            ("12345", ModelFileError, "12345"),
            ("model.safetensors", ModelFileError, "model.safetensors"),
            (".", ModelFileError, "."),
        ],
    )
    def test_what_is_no_model(self, bucket, name, error, message):
        with raises(error, message):
            self.shown(name)

    def test_a_digest_that_is_ambiguous(self, bucket, tmp_path):
        shas = bucket[1]
        with closing(open_database(f"sqlite:///{tmp_path / 'db.sqlite'}")) as database:
            other = shas[0][:-1] + ("0" if shas[0][-1] != "0" else "1")
            database.register_model(ModelRecord(other, "file:///x/y", "instance_segmentation", "s_train_v1", None, ""))
        with raises(UnknownNameError):
            self.shown(shas[0][:10])

    def test_a_champion_that_the_database_does_not_know(self, bucket, sightline_home, tmp_path):
        storage, shas = bucket
        url = f"sqlite:///{tmp_path / 'empty.sqlite'}"
        open_database(url).close()
        (sightline_home / "settings.yaml").write_text(
            f"storage: {{uri: '{storage.uri}'}}\ndatabase: {{url: '{url}'}}\n"
        )
        assert self.shown(shas[1][:7]) == 1

    def test_a_model_whose_file_is_gone(self, bucket):
        storage, shas = bucket
        storage.delete("models/0/model.safetensors")
        with raises(StepError):
            self.shown(shas[0][:6])
