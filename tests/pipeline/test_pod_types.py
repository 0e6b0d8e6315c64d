"""The types of what lands in a pod: the back end's driver reads all but two as strings, and drops others silently."""

import re

import pytest
import yaml

import pipeline

PLACEHOLDER = re.compile(r"\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}")
TYPES = {"nodeSelectorJson": "STRUCT", "tolerationJson": "LIST"}


def wrong_types(text):
    """Everything of a pod that comes from a parameter of another type than the driver reads."""
    specification, platform = yaml.safe_load_all(text)
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    executors = specification["deploymentSpec"]["executors"]
    components = specification["components"]
    found, looked = [], 0
    for group in [specification["root"], *(one for one in components.values() if "dag" in one)]:
        around = (group.get("inputDefinitions") or {}).get("parameters") or {}
        for name, task in group["dag"]["tasks"].items():
            label = components[task["componentRef"]["name"]].get("executorLabel")
            if label is None:
                continue
            given = task["inputs"]["parameters"]
            container = executors[label]["container"]
            for place, key in leaves({"image": container["image"], "resources": container.get("resources", {})}):
                for inner in PLACEHOLDER.findall(str(key)):
                    source = given[inner]["componentInputParameter"]
                    found += [(name, place)] if around[source]["parameterType"] != "STRING" else []
                    looked += 1
            for place, key in leaves(pods[label]):
                if place[-1] == "componentInputParameter":
                    kind = next((TYPES[part] for part in place if part in TYPES), "STRING")
                    found += [(name, place)] if around[key]["parameterType"] != kind else []
                    looked += 1
    return found, looked


def leaves(document, place=()):
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in items:
        if isinstance(value, dict | list):
            yield from leaves(value, (*place, key))
        else:
            yield (*place, key), value


def test_every_parameter_of_a_pod_has_the_type_that_the_driver_reads():
    found, looked = wrong_types(pipeline.compile_yaml())
    assert found == []
    assert looked > 70


@pytest.mark.parametrize("name", ["accelerator_count", "train_memory", "work_volume", "node_selector"])
def test_a_number_would_be_found(name):
    text = pipeline.compile_yaml()
    pattern = rf"((?:pipelinechannel--)?{name}:\n(?:\s+\w+: .*\n)*?\s+parameterType: )(STRING|STRUCT)"
    changed, times = re.subn(pattern, r"\1NUMBER_INTEGER", text)
    assert times
    found, _ = wrong_types(changed)
    assert len(found) >= 3
