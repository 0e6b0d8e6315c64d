"""One graph for every recipe: what a recipe asks for reaches the pods as parameters, and resolve understands them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import pipeline
from sightline.config.decode import decode, from_json, split_overrides

ROOT = Path(__file__).parents[2]

KEYPOINTS = "data.keypoints={names: [nose, 왼쪽, 오른쪽], flip_pairs: [[왼쪽, 오른쪽]], supercategory: animal}"
RECIPES = {
    "keypoints_small": ("data.classes=[dog]", KEYPOINTS, "model.network=heatmap", "model.backbone=hrnet_w32"),
    "classification_small": ("data.label_sets={mask: [with, without], age: [young, old]}", "model.network=tiny_vgg"),
    "object_detection_small": ("data.classes=[car, 트럭]", "model.detector=fcos"),
    "figures": (),
    "tyres": ("model.network=timm", "model.backbone=resnet18", "model.weights=none"),
    "faces": ("model.loss=[{name: focal}, {name: f1}]",),
}

RESOLVE = """
import sys
for name in ("torch", "torchvision", "timm"):  # the image of resolve has none of them
    sys.modules[name] = None
from sightline.config.decode import decode, split_overrides
from sightline.runs.configuration_checks import check_configuration
config = decode(sys.argv[1], split_overrides(sys.argv[2]))
check_configuration(config, elsewhere=True)
sys.stdout.write(config.model_dump_json())
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    output = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    result = CliRunner().invoke(pipeline.cli, ["compile", "-o", str(output)])
    assert result.exit_code == 0, result.output
    return next(yaml.safe_load_all(output.read_text()))


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_graph_takes_the_recipe_and_resolve_understands_it_without_torch(compiled, recipe):
    overrides = "\n".join(("data.tag=dogs_ann_v1", *RECIPES[recipe]))
    inputs = compiled["root"]["inputDefinitions"]["parameters"]
    resolve = compiled["components"]["comp-exit-handler-1"]["dag"]["tasks"]["resolve"]["inputs"]["parameters"]
    for name in ("recipe", "overrides"):
        assert inputs[name]["parameterType"] == "STRING"
        assert resolve[name] == {"componentInputParameter": f"pipelinechannel--{name}"}
    done = subprocess.run(
        [sys.executable, "-c", RESOLVE, recipe, overrides],
        env={**os.environ, "PYTHONPATH": str(ROOT / "shared"), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    config = from_json(done.stdout)
    assert config == decode(recipe, split_overrides(overrides))
