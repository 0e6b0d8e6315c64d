"""Preflight check of the nodes: whether one is large enough for each pod, regardless of its current load."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sightline.errors import KubeflowError, NotAuthorisedError
from sightline.kubeflow.capacity import ClusterNode, Needs, Verdict, outlook_of, read_nodes
from sightline.kubeflow.client.cluster import Cluster
from sightline.kubeflow.runs.graph import Vertex
from sightline.kubeflow.runs.preflight import Findings


def check_nodes(cluster: Cluster | None, graph: Iterable[Vertex]) -> Findings:
    """Compare the requests of the pods of a run with the size of the nodes.

    Args:
        cluster: The cluster of the pods; None: nothing can be checked.
        graph: The tasks of the run.

    Returns:
        A fault for pods that can never start; a note if that is uncertain or if nodes cannot be listed.
    """
    tasks = [task for vertex in graph for task in vertex.tasks()]
    found = Findings(notes=list(_dropped(tasks)))
    if cluster is None:
        return found
    try:
        nodes = read_nodes(cluster.nodes())
    except NotAuthorisedError:
        found.notes.append("not checked whether a node is large enough: you have no permission to list the nodes")
        return found
    except KubeflowError as error:
        found.notes.append(f"not checked whether a node is large enough: {error}")
        return found
    for names, verdict in outlooks(tasks, nodes):
        line = f"{', '.join(names)}: {verdict.text}; {verdict.remedy}"
        if verdict.outlook == "never":
            found.faults.append(line)
        elif verdict.outlook != "fits":
            found.notes.append(line)
    return found


def outlooks(tasks: Iterable[Vertex], nodes: list[ClusterNode]) -> Iterator[tuple[list[str], Verdict]]:
    """Names of the tasks with the same requests, and whether they will find a node."""
    alike: list[tuple[Needs, list[str]]] = []
    for task in tasks:
        if not any(task.needs.amounts.values()) and not task.needs.selector:
            continue
        same = next((names for needs, names in alike if needs == task.needs), None)
        if same is None:
            alike.append((task.needs, [task.name]))
        else:
            same.append(task.name)
    for needs, names in alike:
        yield names, outlook_of(needs, nodes)


def _dropped(tasks: Iterable[Vertex]) -> Iterator[str]:
    """Notes on a pipeline that was compiled by an earlier release."""
    dropped = {name: task.name for task in tasks for name in task.dropped}
    for name in sorted(dropped):
        yield (
            f"{name} is a number in this version of the pipeline, so Kubeflow ignores it and no task gets an "
            "accelerator; start a new run with `run`, which uses the current version"
        )
