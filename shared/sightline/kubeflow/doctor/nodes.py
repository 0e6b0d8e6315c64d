"""The nodes of the cluster: which accelerators they offer, and whether the pods of a run will ever fit on one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from sightline.errors import NotAuthorisedError
from sightline.kubeflow.capacity import ClusterNode, read_nodes
from sightline.kubeflow.client.cluster import Cluster
from sightline.kubeflow.doctor.findings import Finding, Level
from sightline.kubeflow.quantity import shown
from sightline.kubeflow.runs.graph import Vertex
from sightline.kubeflow.runs.preflight_nodes import outlooks


def examine_nodes(cluster: Cluster, graph: Sequence[Vertex]) -> Iterator[Finding]:
    """Check the nodes.

    Args:
        cluster: The cluster whose nodes are checked.
        graph: The tasks of a run with the parameters of the profile.
    """
    try:
        nodes = read_nodes(cluster.nodes())
    except NotAuthorisedError:
        text = "you have no permission to list nodes, so it is unknown whether one has a GPU and is large enough"
        yield Finding("nodes", "warning", text, "ask an administrator for the output of kubectl describe nodes")
        return
    if not nodes:
        yield Finding("nodes", "warning", "the cluster has no nodes", "add one; until then, every run waits")
        return
    tasks = [task for vertex in graph for task in vertex.tasks()]
    yield _accelerators(nodes, tasks)
    for names, verdict in outlooks(tasks, nodes):
        level: Level = "ok" if verdict.outlook == "fits" else "warning"
        asked = next(task.needs for task in tasks if task.name == names[0])
        of = f"{', '.join(names)}: {asked}: " if level == "ok" else f"{', '.join(names)}: "
        yield Finding("nodes", level, of + verdict.text, verdict.remedy)


def _accelerators(nodes: Sequence[ClusterNode], tasks: Sequence[Vertex]) -> Finding:
    """The accelerators of all nodes: unlike cpu and memory, their names contain a domain, as in ``nvidia.com/gpu``."""
    there: dict[str, Fraction] = {}
    for node in nodes:
        for name, amount in node.offers.items():
            if "/" in name and amount:
                there[name] = there.get(name, Fraction(0)) + amount
    if there:
        found = ", ".join(shown(name, amount) for name, amount in sorted(there.items()))
        return Finding("accelerators", "ok", f"{found} on {len(nodes)} node{'s'[: len(nodes) != 1]}")
    if tasks and not any("/" in name and amount for task in tasks for name, amount in task.needs.amounts.items()):
        return Finding("accelerators", "ok", "no node has one, and runs request none: they train on the CPU")
    remedy = "add a GPU node and its device plugin, or use --param accelerator_count=0"
    text = "no node has one: tasks that request one would wait forever"
    return Finding("accelerators", "warning", text, remedy)
