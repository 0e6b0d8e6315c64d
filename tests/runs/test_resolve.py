from sightline.code import make_snapshot
from sightline.errors import ConfigurationError
from sightline.runs import resolve
from sightline.version import code_revision
from tests.golden import raises

TAG = "plates_ann_v1"


def test_the_parameter_dataset_tag_wins_over_the_overrides():
    resolved = resolve.run("plates", "data.tag=plates_ann_v0\ntrain.iterations=300", TAG, "")
    assert (resolved.config.data.tag, resolved.config.train.iterations) == (TAG, 300)
    assert resolved.code_rev == code_revision()


def test_a_run_without_dataset_tag_says_how_to_name_one():
    with raises(ConfigurationError):
        resolve.run("plates", "", "", "")


def test_code_that_is_not_here_is_refused():
    for code_rev in (code_revision(), "image"):
        assert resolve.run("plates", "", TAG, code_rev).code_rev == code_revision()
    with raises(ConfigurationError, "code_rev", "0.0.9-abc"):
        resolve.run("plates", "", TAG, "0.0.9-abc")
    snapshot = make_snapshot().revision  # the same code, but not activated
    with raises(ConfigurationError, "code_rev", snapshot):
        resolve.run("plates", "", TAG, snapshot)


def test_an_unknown_kind_of_bucket_is_refused_before_anything_starts():
    with raises(ConfigurationError, "ftp://"):
        resolve.run("plates", "storage.uri=ftp://host/bucket", TAG, "")
