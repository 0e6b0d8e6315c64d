"""Answers of a real Kubeflow Pipelines 2.17 with Argo 4.0, kept in ``answers/``, and a server that gives them again."""

from __future__ import annotations

import copy
import json
from pathlib import Path

from kubernetes.client import Configuration

from sightline.kubeflow.client.access import prepare
from sightline.kubeflow.client.failures import Place
from sightline.kubeflow.client.server import Server

ANSWERS = Path(__file__).parent / "answers"
NAMESPACE = "team"


def answer(name):
    """One recorded run: ``run``, ``workflow``, ``pods``, ``events``; some have ``version`` and ``logs`` of pods."""
    recorded = json.loads((ANSWERS / f"{name}.json").read_text())
    return recorded if name == "version" else {"version": answer("version"), "logs": {}} | recorded


def server_at(url, headers=dict):
    """The API, or the cluster, at an address."""
    configuration = Configuration(url)
    prepare(configuration)
    return Server(Place("the API", url, "set --host", proxy=configuration.proxy or ""), configuration, headers)


def serve(server, recorded):
    """Let a server of :mod:`tests.servers.answering` give the answers; the run's id."""
    run, core = recorded["run"], f"/api/v1/namespaces/{NAMESPACE}"
    reference = run["pipeline_version_reference"]
    version = f"{reference['pipeline_id']}/versions/{reference['pipeline_version_id']}"
    server.say("GET /apis/v2beta1/healthz", {"tag_name": "2.17.0", "multi_user": False})
    server.say(f"GET /apis/v2beta1/runs/{run['run_id']}", run)
    server.say("GET /apis/v2beta1/runs", {"runs": [run]})
    server.say(f"GET /apis/v2beta1/pipelines/{version}", recorded["version"])
    workflows = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/workflows"
    server.say(f"GET {workflows}", {"items": [recorded["workflow"]]})
    server.say(f"GET {core}/pods", {"items": recorded["pods"]})
    for pod, lines in recorded["logs"].items():
        server.say(f"GET {core}/pods/{pod}/log", "\n".join(lines))

    def events(asked):
        name = asked.query["fieldSelector"].partition("involvedObject.name=")[2]
        return 200, {"items": recorded["events"].get(name, [])}, {}

    server.answers[f"GET {core}/events"] = events
    return run["run_id"]


def write_kubeconfig(path, url):
    """A kubeconfig that leads to the server."""
    access = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": NAMESPACE}}],
        "clusters": [{"name": "here", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {}}],
    }
    path.write_text(json.dumps(access))
    return path


def crowd(tasks):
    """The recorded run ``finished`` with so many tasks: its task ``work`` stands there again and again.

    Each of them has the log of a real task, and its pod.
    """
    recorded = answer("finished")
    spec = recorded["version"]["pipeline_spec"]
    group = spec.get("pipeline_spec", spec)["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    log = [*next(iter(answer("no_sightline")["logs"].values())), "metrics: box_AP50=0.871 EIR=0.93"]
    nodes, pods, there = recorded["workflow"]["status"]["nodes"], recorded["pods"], len(STORY)
    for number in range(2, 2 + tasks - there):
        group[f"work-{number}"] = copy.deepcopy(group["work"])
        for node in [node for node in nodes.values() if _of_work(node["name"])]:
            name = _renamed(node["name"], number)
            nodes[name] = node | {"name": name, "id": f"{node['id']}-{number}"}
        for pod in [pod for pod in pods if _of_work(_place(pod))]:
            made = copy.deepcopy(pod)
            made["metadata"]["name"] += f"-{number}"
            made["metadata"]["annotations"][PLACE] = _renamed(_place(pod), number)
            pods.append(made)
    recorded["logs"] = {pod["metadata"]["name"]: log for pod in pods if ".executor" in _place(pod)}
    return recorded


STORY = ("resolve", "work", "small", "small-2", "small-3", "finish")
PLACE = "workflows.argoproj.io/node-name"


def _place(pod):
    return pod["metadata"]["annotations"].get(PLACE, "")


def _of_work(node_name):
    return any(part in {"work", "work-driver"} for part in node_name.split("."))


def _renamed(node_name, number):
    renamed = {"work": f"work-{number}", "work-driver": f"work-{number}-driver"}
    return ".".join(renamed.get(part, part) for part in node_name.split("."))
