"""Each content once, and the newest version is the one that was uploaded last."""

import json
import re

from sightline.errors import TakenError
from sightline.kubeflow.runs.upload import upload
from tests.golden import raises

PIPELINES = "/apis/v2beta1/pipelines"


class Store:
    """Pipelines and versions as the back end keeps them, behind the server that answers as told."""

    def __init__(self, server):
        self.server, self.versions = server, []
        server.answers |= {
            f"POST {PIPELINES}": self.create,
            f"POST {PIPELINES}/upload_version": self.add,
            f"GET {PIPELINES}/p1/versions": self.list,
        }

    def create(self, asked):
        name = json.loads(asked.body)["display_name"]
        self.server.say(f"GET {PIPELINES}/names/{name}", {"pipeline_id": "p1"})
        return 200, {"pipeline_id": "p1"}, {}

    def add(self, asked):
        name = asked.query["name"]
        if name in self.versions:
            return 409, {"message": "already exists"}, {}
        self.versions.append(name)
        assert re.search(rb'name="uploadfile"; filename="pipeline.yaml"', asked.body)
        return 200, {"pipeline_version_id": f"v{len(self.versions)}"}, {}

    def list(self, asked):
        ids = {name: f"v{number + 1}" for number, name in enumerate(self.versions)}
        shown = [{"display_name": name, "pipeline_version_id": ids[name]} for name in reversed(self.versions)]
        return 200, {"pipeline_versions": shown}, {}


def test_new_then_unchanged_then_changed(server, api):
    store = Store(server)
    first = upload(api, "sightline", "a: 1\n")
    assert re.fullmatch(r"new pipeline sightline, version [0-9a-f]{12} \(v1\)", str(first))
    assert str(upload(api, "sightline", "a: 1\n")).startswith("unchanged: pipeline sightline, version")
    assert upload(api, "sightline", "a: 2\n").change == "new version of pipeline"
    assert len(store.versions) == 2


def test_a_text_that_was_replaced_becomes_the_newest_again(server, api):
    store = Store(server)
    first, _, again = (upload(api, "sightline", text) for text in ("a: 1\n", "a: 2\n", "a: 1\n"))
    assert store.versions[-1] == again.version == f"{first.version}-2"
    assert upload(api, "sightline", "a: 1\n").version == again.version
    assert len(store.versions) == 3


def test_a_name_that_an_invisible_pipeline_has(server, api):
    server.say(f"POST {PIPELINES}", {"message": "The name sightline already exist"}, 409)
    with raises(TakenError, "--pipeline", "already exist"):
        upload(api, "sightline", "a: 1\n")


def test_two_upload_the_same_at_once(server, api):
    store = Store(server)
    server.answers[f"POST {PIPELINES}"] = lambda asked: (store.create(asked), (409, {}, {}))[1]
    assert upload(api, "sightline", "a: 1\n").change == "new pipeline"


def test_two_upload_the_same_version_at_once(server, api):
    store = Store(server)
    upload(api, "sightline", "a: 1\n")
    listed = iter([["an old list"], None])

    def slow(asked):
        """The first look is from before the other's upload."""
        return store.list(asked) if next(listed) is None else (200, {}, {})

    server.answers[f"GET {PIPELINES}/p1/versions"] = slow
    assert upload(api, "sightline", "a: 1\n").change == "unchanged: pipeline"
    assert len(store.versions) == 1
