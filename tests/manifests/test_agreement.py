"""What the manifests make is what the pipeline, the images and the settings file ask for."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

import components
import pipeline
from components.pod import ENVIRONMENT
from sightline.runs import resolve
from tests.manifests.kustomize import MANIFESTS, OVERLAYS, build, containers, of_kind, pod_templates

ROOT = MANIFESTS.parent

SECRETS = {
    "sightline-database": "password",
    "sightline-git": "token",
    "sightline-notify": "url",
    "sightline-storage": "key.json",
}


def asked_for():
    """Names of claims, ConfigMaps and secrets in the compiled pipeline, parameters by their default."""
    specification, platform = yaml.safe_load_all(pipeline.compile_yaml())
    parameters = specification["root"].get("inputDefinitions", {}).get("parameters", {})
    found = {"claims": set(), "maps": set(), "secrets": set()}
    kinds = {
        "pvcMount": "claims",
        "configMapAsEnv": "maps",
        "configMapAsVolume": "maps",
        "secretAsEnv": "secrets",
        "secretAsVolume": "secrets",
    }
    for executor in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        for field, kind in kinds.items():
            found[kind] |= {name for entry in executor.get(field, []) for name in named(entry, parameters)}
    return found


def named(entry, parameters):
    for field in ("constant", "configMapName", "secretName"):
        if field in entry:
            return [entry[field]]
    inside = [value for key, value in entry.items() if key.endswith(("NameParameter", "pvcNameParameter"))]
    names = [value["runtimeValue"]["constant"] for value in inside if "runtimeValue" in value]
    inputs = [value["componentInputParameter"] for value in inside if "componentInputParameter" in value]
    names += [parameters[name]["defaultValue"] for name in parameters if any(name in given for given in inputs)]
    return names


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_makes_what_the_pipeline_asks_for(overlay):
    documents = build(MANIFESTS / "overlays" / overlay)
    asked = asked_for()
    assert "sightline-work" in asked["claims"]
    assert asked["claims"] <= set(of_kind(documents, "PersistentVolumeClaim"))
    assert asked["maps"] <= set(of_kind(documents, "ConfigMap"))
    assert asked["secrets"] <= set(SECRETS)


def test_the_variables_that_are_offered_reach_the_tasks():
    offered = re.findall(r"[A-Z]+(?:_[A-Z]+)+", (MANIFESTS / "base/environment.env").read_text())
    assert sorted(offered) == sorted(ENVIRONMENT)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_jobs_mount_where_the_images_look_and_run_the_base_image(overlay):
    mounts, images = {}, set()
    for _name, specification in pod_templates(build(MANIFESTS / "overlays" / overlay)):
        claims = {
            volume["name"]: volume["persistentVolumeClaim"]["claimName"]
            for volume in specification["volumes"]
            if "persistentVolumeClaim" in volume
        }
        for container in containers(specification):
            images.add(container["image"].rpartition("/")[2])
            for mount in container["volumeMounts"]:
                mounts.setdefault(claims.get(mount["name"], mount["name"]), set()).add(mount["mountPath"])
    assert images == {components.BASE_IMAGE.rpartition("/")[2]}
    assert mounts["sightline-work"] == {components.WORK_PATH}
    environment = image_environment()
    assert mounts["sightline-work"] == {environment["SIGHTLINE_HOME"]}
    assert mounts["sightline-code"] == {environment["SIGHTLINE_CODE"]}
    assert mounts["settings"] == {str(Path(environment["SIGHTLINE_SETTINGS"]).parent)}
    assert mounts["tmp"] == {environment["HOME"]}


def image_environment():
    text = (ROOT / "dockerfiles/Dockerfile").read_text()
    return dict(re.findall(r"^(?:ENV| +) ?([A-Z_]+)=(\S+)", text, flags=re.MULTILINE))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_settings_are_ones_that_sightline_reads(overlay, sightline_home, monkeypatch):
    monkeypatch.setenv(
        "STORAGE_EMULATOR_HOST", "http://127.0.0.1:9"
    )  # so that the bucket's client needs no credentials
    (settings,) = [
        document["data"]["settings.yaml"]
        for name, document in of_kind(build(MANIFESTS / "overlays" / overlay), "ConfigMap").items()
        if name == "sightline-settings"
    ]
    (sightline_home / "settings.yaml").write_text(settings)
    config = resolve.run("plates", "", "plates_ann_v1", "").config
    document = yaml.safe_load(settings)
    assert config.storage.uri == document["storage"]["uri"]
    assert config.database.url == document["database"]["url"]
    assert config.data.repository == document["data"]["repository"]


def test_the_templates_of_secrets_make_the_secrets_and_hold_none(tmp_path):
    folder = tmp_path / "secrets"
    shutil.copytree(MANIFESTS / "secrets", folder)
    for example in folder.glob("*.example"):
        example.rename(example.with_suffix(""))
    secrets = of_kind(build(folder), "Secret")
    assert {name: set(secret["data"]) for name, secret in secrets.items()} == {
        name: {key} for name, key in SECRETS.items()
    }
    values = {value for secret in secrets.values() for value in secret["data"].values()}
    assert values == {"", "e30K"}  # nothing, and an empty JSON document


def test_what_holds_secrets_is_kept_out_of_git():
    ignored = (MANIFESTS / "secrets/.gitignore").read_text().splitlines()
    examples = {path.stem for path in (MANIFESTS / "secrets").glob("*.example")}
    assert examples == {"database.env", "git.env", "notify.env", "key.json"}
    assert {"*.env", "key.json"} <= set(ignored)
