"""The capacity of a cluster: what each node offers a pod when nothing else runs on it, and whether one is large enough.

The current load is ignored, because other pods end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from sightline.kubeflow.client.document import Document
from sightline.kubeflow.quantity import parse_quantity, shown

PASSING_TAINTS = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/", "ToBeDeletedByClusterAutoscaler")
"""Taints of temporary states such as not-ready; the state itself is checked instead."""

POOL_LABELS = (
    "cloud.google.com/gke-nodepool",
    "eks.amazonaws.com/nodegroup",
    "kubernetes.azure.com/agentpool",
    "karpenter.sh/nodepool",
)
"""Labels of node pools: the cloud may add nodes, also of other sizes, when a pod waits."""

_NAMED = 3

Outlook = Literal["fits", "away", "perhaps", "never"]


@dataclass(frozen=True)
class Needs:
    """The resources that a pod requests from its node.

    Attributes:
        amounts: Resource, such as ``cpu``, ``memory``, ``nvidia.com/gpu`` -> amount.
        selector: Labels that the node must have.
        tolerations: Tolerations of taints.
        parameters: Resource -> the pipeline parameter that sets its amount, if there is one.
    """

    amounts: Mapping[str, Fraction] = field(default_factory=dict)
    selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Document, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        asked = [shown(name, amount) for name, amount in self.amounts.items() if amount]
        return ", ".join(asked) or "nothing"


@dataclass(frozen=True)
class ClusterNode:
    """A node of the cluster.

    Attributes:
        name: Its name.
        offers: Resource -> total for all pods on the node (``allocatable``).
        labels: Its labels.
        taints: Taints that keep pods away permanently.
        away: Why it accepts no pods at present: ``cordoned``, ``not ready``; empty: it accepts pods.
    """

    name: str
    offers: Mapping[str, Fraction]
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Document, ...] = ()
    away: str = ""

    def large_enough(self, needs: Needs) -> bool:
        """Whether the empty node has enough of every resource."""
        return not self.lacking(needs)

    def lacking(self, needs: Needs) -> list[str]:
        """The resources of which the node has too little."""
        return [name for name, amount in needs.amounts.items() if amount > self.offers.get(name, 0)]

    def chosen(self, needs: Needs) -> bool:
        """Whether the node has the labels that the pod requires."""
        return all(self.labels.get(key) == value for key, value in needs.selector.items())

    def untolerated(self, needs: Needs) -> list[Document]:
        """The taints of the node that keep the pod away."""
        return [taint for taint in self.taints if not any(_tolerates(one, taint) for one in needs.tolerations)]

    def shown(self, needs: Needs) -> str:
        """What the node offers of the requested resources, as text."""
        return ", ".join(
            shown(name, offered) if (offered := self.offers.get(name, Fraction(0))) else f"no {name}"
            for name, amount in needs.amounts.items()
            if amount
        )


@dataclass(frozen=True)
class Verdict:
    """Whether a pod will ever find a node.

    Attributes:
        outlook: ``fits``: on an existing node; ``away``: on a node that accepts no pods at present; ``perhaps``: on no
            existing node, but the cluster may add one, or change the pod; ``never``.
        text: The nodes, or why there are none.
        remedy: What to do; empty if it fits.
    """

    outlook: Outlook
    text: str
    remedy: str = ""


def read_nodes(documents: Iterable[Document]) -> list[ClusterNode]:
    """Read the nodes of a cluster from the documents of its API."""
    return [_read(document) for document in documents]


def outlook_of(needs: Needs, nodes: Sequence[ClusterNode]) -> Verdict:
    """Decide whether there is a node that is large enough, selected, and not closed to the pod by a taint.

    The current load of the nodes is ignored, because other pods end.
    """
    if not nodes:
        return Verdict("perhaps", "the cluster has no nodes", "add one")
    large = [one for one in nodes if one.large_enough(needs)]
    if not large:
        return _no_node(needs, nodes)
    fitting = [one for one in large if one.chosen(needs) and not one.untolerated(needs)]
    ready = [one for one in fitting if not one.away]
    if ready:
        return Verdict("fits", _are(ready))
    if fitting:
        states = ", ".join(f"{one.name} is {one.away}" for one in fitting[:_NAMED])
        remedy = f"kubectl uncordon {fitting[0].name}" if fitting[0].away == "cordoned" else "see kubectl describe node"
        return Verdict("away", f"the nodes that are large enough accept no pods at present: {states}", remedy)
    return _kept_away(needs, large, may_grow=_may_grow(nodes))


def pod_needs(pod: Document) -> Needs:
    """The requests of all containers of a pod, added up as the scheduler does."""
    specification = pod.get("spec") or {}
    total: dict[str, Fraction] = {}
    for container in specification.get("containers") or []:
        _add(total, _requests(container))
    highest: dict[str, Fraction] = {}
    beside: dict[str, Fraction] = {}
    for container in specification.get("initContainers") or []:
        mine = _requests(container)
        if container.get("restartPolicy") == "Always":  # a sidecar stays
            _add(beside, mine)
            _add(total, mine)
            mine = {}
        for name in {*mine, *beside}:
            highest[name] = max(highest.get(name, Fraction(0)), mine.get(name, Fraction(0)) + beside.get(name, 0))
    amounts = {name: max(total.get(name, Fraction(0)), highest.get(name, Fraction(0))) for name in {**total, **highest}}
    _add(amounts, _amounts(specification.get("overhead") or {}))
    return Needs(amounts, specification.get("nodeSelector") or {}, tuple(specification.get("tolerations") or ()))


def _read(node: Document) -> ClusterNode:
    specification, status = node.get("spec") or {}, node.get("status") or {}
    conditions = {str(one.get("type")): str(one.get("status")) for one in status.get("conditions") or []}
    away = "cordoned" if specification.get("unschedulable") else ""
    if conditions.get("Ready", "True") != "True":
        away = "not ready"
    taints = [
        taint
        for taint in specification.get("taints") or []
        if taint.get("effect") in {"NoSchedule", "NoExecute"}
        and not str(taint.get("key", "")).startswith(PASSING_TAINTS)
    ]
    metadata = node.get("metadata") or {}
    return ClusterNode(
        name=str(metadata.get("name", "")),
        offers=_amounts(status.get("allocatable") or {}),
        labels=metadata.get("labels") or {},
        taints=tuple(taints),
        away=away,
    )


def _no_node(needs: Needs, nodes: Sequence[ClusterNode]) -> Verdict:
    """No node is large enough: name the largest that the pod may use, otherwise the largest of all."""
    taken = [one for one in nodes if one.chosen(needs) and not one.untolerated(needs)] or list(nodes)
    largest = max(taken, key=lambda one: _size(one, needs))
    text = f"no node is large enough for {needs}: the largest, {largest.name}, offers {largest.shown(needs)}"
    lacking = largest.lacking(needs)
    absent = [name for name in lacking if "/" in name and not largest.offers.get(name)]
    smaller = [needs.parameters[name] for name in lacking if name not in absent and name in needs.parameters]
    remedies = [f"request less with --param {', '.join(smaller)}"] if smaller else []
    counts = (needs.parameters.get(name, "accelerator_count") for name in absent)
    remedies += [f"run on the CPU with --param {count}=0" for count in counts]
    if _may_grow(nodes):
        remedy = " and ".join(remedies) or "request less with --param"
        return Verdict("perhaps", text, f"it starts if the cluster adds a larger node; otherwise {remedy}")
    return Verdict("never", text, f"{' and '.join(remedies) or 'request less with --param'}, or add a larger node")


def _kept_away(needs: Needs, large: Sequence[ClusterNode], *, may_grow: bool) -> Verdict:
    """Some nodes are large enough, but the pod may use none of them."""
    uncertain: Outlook = "perhaps" if may_grow else "never"
    chosen = [one for one in large if one.chosen(needs)]
    if not chosen:
        labels = json.dumps(dict(needs.selector))
        text = f"no node with the labels {labels} is large enough for {needs}; {_are(large)} without these labels"
        return Verdict(uncertain, text, "change --param node_selector, or label a node")
    taints = [taint for one in chosen for taint in one.untolerated(needs)]
    if all(needs.amounts.get(str(taint.get("key", ""))) for taint in taints):
        # Google's clusters, among others, add the toleration of a taint that has the name of a requested resource.
        uncertain = "perhaps"
    first = taints[0]
    value = f"={first['value']}" if first.get("value") else ""
    text = f"{_are(chosen)} for {needs}, but the taint {first.get('key')}{value}:{first.get('effect')} is not tolerated"
    exact = {"key": first.get("key"), "operator": "Exists", "effect": first.get("effect")}
    return Verdict(uncertain, text, f"--param 'tolerations={json.dumps([*needs.tolerations, exact])}'")


def _are(nodes: Sequence[ClusterNode]) -> str:
    return f"{_names(nodes)} {'is' if len(nodes) == 1 else 'are'} large enough"


def _size(node: ClusterNode, needs: Needs) -> tuple[Any, ...]:
    """A sort key: the number of resources of which the node has enough, then the scarcest resource."""
    amounts = {name: amount for name, amount in needs.amounts.items() if amount}
    enough = len(amounts) - len(node.lacking(needs))
    scarcest = min((node.offers.get(name, Fraction(0)) / amount for name, amount in amounts.items()), default=0)
    return enough, scarcest, node.offers.get("memory", Fraction(0)), node.offers.get("cpu", Fraction(0))


def _may_grow(nodes: Sequence[ClusterNode]) -> bool:
    return any(label in one.labels for one in nodes for label in POOL_LABELS)


def _tolerates(toleration: Document, taint: Document) -> bool:
    key, effect = toleration.get("key"), toleration.get("effect")
    if effect and effect != taint.get("effect"):
        return False
    if not key:
        return toleration.get("operator") == "Exists"
    if key != taint.get("key"):
        return False
    return toleration.get("operator") == "Exists" or str(toleration.get("value") or "") == str(taint.get("value") or "")


def _requests(container: Document) -> dict[str, Fraction]:
    resources = container.get("resources") or {}
    return _amounts({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _amounts(given: Mapping[str, Any]) -> dict[str, Fraction]:
    """The amounts that can be read."""
    return dict(_readable(given))


def _readable(given: Mapping[str, Any]) -> Iterator[tuple[str, Fraction]]:
    for name, amount in given.items():
        try:
            yield name, parse_quantity(amount)
        except ValueError:
            continue


def _add(total: dict[str, Fraction], more: Mapping[str, Fraction]) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, Fraction(0)) + amount


def _names(nodes: Sequence[ClusterNode]) -> str:
    names = [one.name for one in nodes]
    if len(names) > _NAMED:
        names = [*names[:_NAMED], f"{len(names) - _NAMED} more"]
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
