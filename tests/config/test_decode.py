import json
from functools import reduce

import pytest

from sightline.config.decode import RENAMED, decode, from_json, recipe_document, recipe_names, split_overrides
from sightline.config.settings import settings_path
from sightline.errors import ConfigurationError
from tests.golden import raises


def fault_of(recipe, *overrides):
    with pytest.raises(ConfigurationError) as caught:
        decode(recipe, overrides)
    return str(caught.value)


def needed_by(recipe):
    """Overrides for what a recipe leaves to the user."""
    document = recipe_document(recipe)
    overrides = [] if document["data"].get("label_sets") else ["data.classes=[cat, dog]"]
    if document["task"] == "keypoints" and not document["data"]["keypoints"]["names"]:
        overrides.append("data.keypoints.names=[nose, tail]")
    return overrides


def test_every_recipe_decodes_and_survives_json():
    for name in recipe_names():
        config = decode(name, needed_by(name))
        assert from_json(config.model_dump_json()) == config
        assert config.recipe == name


def test_overrides_win_over_settings_and_settings_over_recipe():
    settings_path().write_text("train: {iterations: 7, batch_size: 3}\n")
    config = decode("plates", ["train.iterations=9"])
    assert (config.train.iterations, config.train.batch_size) == (9, 3)
    assert config.train.learning_rate == decode("plates").train.learning_rate


def test_embedded_defaults_lie_in_one_folder(sightline_home):
    config = decode("plates")
    places = (config.data.repository, config.storage.uri, config.database.url, config.work.dir)
    assert all(str(sightline_home) in place for place in places)


def test_configuration_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        decode("plates").train.iterations = 3


def test_a_recipe_may_be_a_file(tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("data: {classes: [cat]}\ntrain: {learning_rate: 1e-3}\n")
    config = decode(str(recipe))
    assert (config.recipe, config.data.classes, config.train.learning_rate) == ("mine", ("cat",), 1e-3)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("data.tga=v1", "data.tga: unknown key 'tga'; did you mean tag?"),
        ("trian.iterations=1", "trian: unknown key 'trian'; did you mean train?"),
        ("train.iterations=-3", "train.iterations: -3 is not valid; expected greater than 0"),
        ("train.iterations=many", "train.iterations: 'many' is not valid; expected a valid integer"),
        (
            "evaluate.minimum=2",
            "evaluate.minimum: 2 is not valid; expected a number from 0 to 1, or one for each metric",
        ),
        (
            "evaluate.minimum=-0.1",
            "evaluate.minimum: -0.1 is not valid; expected a number from 0 to 1, or one for each metric",
        ),
        (
            "evaluate.minimum=.nan",
            "evaluate.minimum: nan is not valid; expected a number from 0 to 1, or one for each metric",
        ),
        (
            "evaluate.minimum=high",
            "evaluate.minimum: 'high' is not valid; expected a number from 0 to 1, or one for each metric",
        ),
        (
            "evaluate.minimum=[0.1]",
            "evaluate.minimum: [0.1] is not valid; expected a number from 0 to 1, or one for each metric",
        ),
        (
            "evaluate.minimum={EIR: 3}",
            "evaluate.minimum: {'EIR': 3} is not valid; expected a number from 0 to 1, or one for each metric",
        ),
        ("train.learning_rate=.nan", "train.learning_rate: nan is not valid; expected a finite number"),
        ("model=3", "model: 3 is not valid; expected a valid dictionary"),
        ("model.backbone.x=1", "model.backbone.x: backbone is a single value, not a section"),
        ("data.classes=[a, a]", "every class once, but a is listed twice"),
        ("data.classes=[' a']", "class names without leading or trailing spaces"),
        ("data.splits.train=0.9", "data.splits: "),
        ("data.splits.train=0.9", "but they sum to 1.2"),
        ("data.faults.zero_area=clip", "data.faults.zero_area: 'clip' is not valid; expected 'error' or 'drop'"),
        ("task=cooking", "task: unknown task 'cooking'. Available: instance_segmentation, object_detection"),
        ("data.tag", "'data.tag' is not an override; expected KEY=VALUE, such as data.tag=plates_ann_v1"),
        ("data..tag=1", "'data..tag=1' is not an override"),
        ("data.tag=[", "data.tag: '[' is not valid YAML"),
        ("data.tag={a: 1, a: 2}", "duplicate key 'a'"),
        ("seed.x=1", "seed: {'x': 1} is not valid; expected a valid integer"),
    ],
)
def test_a_fault_names_path_value_and_expectation(override, expected):
    assert expected in fault_of("plates", override)


def test_all_faults_come_in_one_message():
    message = fault_of("plates", "train.iterations=0", "data.tga=1", "nonsense", "evaluate.select_by=[]")
    for part in ("has 4 errors", "train.iterations", "data.tga", "'nonsense'", "evaluate.select_by"):
        assert part in message


def test_missing_classes_say_how_to_give_them():
    assert "data.classes: required; set it with --set data.classes=..." in fault_of("instance_segmentation")


def test_unknown_recipe_names_the_nearest():
    message = fault_of("plate")
    assert "did you mean plates?" in message
    assert "instance_segmentation" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data: [1\n", "is not valid YAML"),
        ("- 1\n", "must contain sections"),
        ("data: {tag: a, tag: b}\n", "duplicate key 'tag'"),
    ],
)
def test_a_broken_recipe_file_is_named(tmp_path, text, expected):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(text)
    message = fault_of(str(recipe))
    assert expected in message
    assert str(recipe) in message


@pytest.mark.parametrize(
    "url", ["me:canary-7@host/db", "me@host/db?password=canary-7", "me@host/db?ssl_mode=required&passwd=canary-7"]
)
def test_a_password_is_refused_and_not_repeated(url):
    message = fault_of("plates", f"database.url=mysql+pymysql://{url}")
    assert "canary-7" not in message
    assert "SIGHTLINE_DATABASE_PASSWORD" in message


def test_a_database_url_without_password_is_accepted():
    assert decode("plates", ["database.url=mysql+pymysql://me@host:3306/db"]).database.url.startswith("mysql")


@pytest.mark.parametrize(
    "uri", ["https://me:canary-7@host", "http://host/?token=canary-7", "sqlite:///x?password=canary-7"]
)
def test_credentials_of_a_tracker_are_refused_and_not_repeated(uri):
    message = fault_of("plates", f"tracking.mlflow_uri={uri}")
    assert "canary-7" not in message
    assert "MLFLOW_TRACKING_PASSWORD" in message


@pytest.mark.parametrize("uri", ["/work/mlruns", "file:///work/mlruns", "mysql+pymysql://me@host/db", "databricks"])
def test_a_tracker_needs_a_server_or_a_file(uri):
    assert "sqlite:///PATH" in fault_of("plates", f"tracking.mlflow_uri={uri}")


@pytest.mark.parametrize("uri", ["", "https://me@host:5000/mlflow", "http://host", "sqlite:////work/mlflow.sqlite"])
def test_the_address_of_a_tracker_is_accepted(uri):
    assert decode("plates", [f"tracking.mlflow_uri='{uri}'"]).tracking.mlflow_uri == uri


def test_a_configuration_from_before_the_trackers_is_accepted():
    document = decode("plates").model_dump(mode="json")
    del document["tracking"]
    assert from_json(json.dumps(document)) == decode("plates")


def test_configuration_of_another_version_is_refused():
    document = decode("plates").model_dump(mode="json")
    document["train"]["iterationz"] = 1
    with raises(ConfigurationError):
        from_json(json.dumps(document))


def test_overrides_stand_one_a_line():
    assert split_overrides("a=1\n\n  # why\n  b.c = [1, 2]\n") == ["a=1", "b.c = [1, 2]"]


@pytest.mark.parametrize(
    ("former", "now", "override", "says"),
    [
        ("train.steps", "train.iterations", "train.steps=800",
         "train.steps: was renamed to train.iterations; set that to 800 instead"),
        # A whole section.
        ("engine", "train", "engine.iterations=8",
         "engine: was renamed to train; set that to {'iterations': 8} instead"),
    ],
)  # fmt: skip
def test_a_name_of_an_earlier_version_leads_to_that_of_today(monkeypatch, former, now, override, says):
    monkeypatch.setitem(RENAMED, former, now)
    assert says in fault_of("plates", override)


def test_names_of_earlier_versions_lead_to_names_that_exist():
    document = decode("plates", ["data.classes=[cat]"]).model_dump()
    for now in RENAMED.values():
        assert reduce(dict.get, now.split("."), document) is not None, now


def test_a_minimum_is_one_number_or_one_by_metric():
    assert decode("plates").evaluate.minimum_of("EIR") == 0.05
    assert decode("plates", ["evaluate.minimum=0"]).evaluate.minimum_of("EIR") == 0
    by_metric = decode("plates", ["evaluate.minimum.EIR=0.3"]).evaluate
    assert (by_metric.minimum_of("EIR"), by_metric.minimum_of("mask_AP")) == (0.3, 0.05)
    assert from_json(decode("plates", ["evaluate.minimum={EIR: 0.3}"]).model_dump_json()).evaluate == by_metric


@pytest.mark.parametrize(("name", "says"), [
    ("recipe.yaml", "recipe.yaml"),
    ("folder/pets.yml", "pets.yml"),
    ("here/pets", "here/pets"),
    ("here", "here"),
    ("folder.yaml", "folder.yaml"),
    ("here/pets.txt", "YAML"),
])  # fmt: skip
def test_a_recipe_file_that_is_not_there_is_said_to_be_missing(name, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "pets.txt").write_text("{}")
    (tmp_path / "folder.yaml").mkdir()
    with raises(ConfigurationError, says):
        decode(name)


def test_a_chosen_network_makes_the_settings_of_the_other_one_go():
    config = decode("tyres", ["model.network=timm", "model.backbone=efficientnet_b1"])
    assert (config.model.network, config.model.backbone) == ("timm", "timm:efficientnet_b1")
    assert config.model.image_size == decode("tyres").model.image_size  # both networks have it
    given = ["data.classes=[cat]", "data.keypoints.names=[nose]"]
    whole = decode("keypoints_small", [*given, "model={network: heatmap, crop_hw: [64, 64]}"])
    assert (whole.model.crop_hw, whole.model.weights) == ((64, 64), "none")


@pytest.mark.parametrize(
    "overrides",
    [["model.network=cnn", "model.backbone=resnet18"], ["model.network=timm", "model.width=8"], ["model.backbone=x"]],
)
def test_what_the_user_sets_for_another_network_stays_a_fault(overrides):
    assert f"{overrides[-1].partition('=')[0]}: unknown key" in fault_of("tyres", *overrides)


@pytest.mark.parametrize("name", ["nothing", "[cnn]", "{a: b}", "3"])
def test_a_network_that_the_task_does_not_have_is_a_fault(name):
    assert "Available: timm, cnn, tiny_vgg, poster" in fault_of("tyres", f"model.network={name}")


@pytest.mark.parametrize("given", ["model.network=", "model.network=null", "model={network: null}"])
def test_an_empty_network_is_the_default_one_of_the_task(given):
    model = decode("figures", [given]).model
    assert type(model) is type(decode("keypoints_small", ["data.classes=[a]", "data.keypoints.names=[b]"]).model)
    assert model.image_size == decode("figures").model.image_size  # both networks have it


def test_the_last_choice_of_the_length_of_a_training_counts():
    def length(*overrides):
        train = decode("classification", ["data.classes=[a, b]", *overrides]).train
        return train.epochs, train.validate_epochs

    recipe = length()
    assert min(recipe) > 0
    assert length("train.iterations=6") == (0, recipe[1])
    assert length("train={iterations: 6, validate_every: 2}") == (0, 0)
    assert length("train.iterations=6", "train.epochs=2", "train.validate_epochs=3") == (2, 3)
