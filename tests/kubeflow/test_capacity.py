"""Whether a pod will ever find a node that is large enough, whatever runs there now."""

from fractions import Fraction

import pytest

from sightline.kubeflow.capacity import Needs, outlook_of, pod_needs, read_nodes
from sightline.kubeflow.quantity import parse_quantity
from sightline.kubeflow.watch.waiting_for_node import why_no_node

GPU = "nvidia.com/gpu"
TAINT = {"key": GPU, "value": "present", "effect": "NoSchedule"}
UNREACHABLE = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}
POOL_TAINT = {"key": "pool", "value": "vision", "effect": "NoExecute"}


def node(name, cpu, memory, gpus=0, labels=None, taints=(), *, cordoned=False, ready="True"):
    """A node as the cluster describes it."""
    offers = {"cpu": cpu, "memory": memory} | ({GPU: str(gpus)} if gpus else {})
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"taints": list(taints)} | ({"unschedulable": True} if cordoned else {}),
        "status": {"allocatable": offers, "conditions": [{"type": "Ready", "status": ready}]},
    }


def needs(cpu="4", memory="16Gi", gpus="1", selector=None, tolerations=()):
    amounts = {"cpu": parse_quantity(cpu), "memory": parse_quantity(memory), GPU: parse_quantity(gpus)}
    return Needs(amounts, selector or {}, tuple(tolerations), {"memory": "train_memory", GPU: "accelerator_count"})


def outlook(wanted, *nodes):
    return outlook_of(wanted, read_nodes(nodes))


LARGE = ("gpu-1", "8", "32Gi", 2)


@pytest.mark.parametrize(
    ("wanted", "nodes", "expected"),
    [
        (needs(), [node(*LARGE)], "fits"),
        (needs("8", "32Gi", "2"), [node(*LARGE)], "fits"),  # all that there is
        (needs("8001m"), [node(*LARGE)], "never"),
        (needs(memory="34359738369"), [node(*LARGE)], "never"),  # a byte too much
        (needs(gpus="3"), [node(*LARGE)], "never"),
        (needs(gpus="0"), [node("cpu-1", "4", "16Gi")], "fits"),
        # Enough of everything in the cluster, but not on one node.
        (needs(), [node("a", "2", "64Gi", 4), node("b", "64", "64Gi")], "never"),
        # What a selector or a taint keeps the pod from.
        (needs(selector={"pool": "gpu"}), [node(*LARGE)], "never"),
        (needs(selector={"pool": "gpu"}), [node(*LARGE, {"pool": "gpu"})], "fits"),
        (needs(), [node(*LARGE, taints=[POOL_TAINT])], "never"),
        (needs(), [node(*LARGE, taints=[POOL_TAINT | {"effect": "PreferNoSchedule"}])], "fits"),
        (needs(tolerations=[{"key": "pool", "operator": "Exists"}]), [node(*LARGE, taints=[POOL_TAINT])], "fits"),
        (needs(tolerations=[{"operator": "Exists"}]), [node(*LARGE, taints=[POOL_TAINT, TAINT])], "fits"),
        (needs(tolerations=[{"key": "pool", "value": "vision"}]), [node(*LARGE, taints=[POOL_TAINT])], "fits"),
        (needs(tolerations=[{"key": "pool", "value": "other"}]), [node(*LARGE, taints=[POOL_TAINT])], "never"),
        (needs(tolerations=[{"key": "pool", "operator": "Exists", "effect": "NoSchedule"}]),
         [node(*LARGE, taints=[POOL_TAINT])], "never"),
        # A taint that is named after the resource: some clusters tolerate it by themselves.
        (needs(), [node(*LARGE, taints=[TAINT])], "perhaps"),
        (needs(gpus="0"), [node(*LARGE, taints=[TAINT])], "never"),
        # Nodes that take no pods now, but may again.
        (needs(), [node(*LARGE, cordoned=True)], "away"),
        (needs(), [node(*LARGE, ready="False")], "away"),
        (needs(), [node(*LARGE, ready="Unknown", taints=[UNREACHABLE])], "away"),
        (needs(), [node(*LARGE, cordoned=True), node("gpu-2", "8", "32Gi", 1)], "fits"),
        (needs(), [node("cpu-1", "2", "4Gi", cordoned=True)], "never"),
        # A cloud may add a node when a pod waits.
        (needs(), [node("cpu-1", "2", "4Gi", labels={"cloud.google.com/gke-nodepool": "default"})], "perhaps"),
        (needs(), [], "perhaps"),
    ],
)  # fmt: skip
def test_outlook(wanted, nodes, expected):
    assert outlook(wanted, *nodes).outlook == expected


def test_a_run_that_never_fits_names_the_largest_node_and_the_parameters():
    verdict = outlook(needs(), node("small", "4", "8Gi"), node("large", "4", "12Gi"), node("tiny", "1", "2Gi"))
    assert verdict.text == (
        "no node is large enough for 4 cpu, 16Gi memory, 1 nvidia.com/gpu: the largest, large, offers 4 cpu, 12Gi "
        "memory, no nvidia.com/gpu"
    )
    assert verdict.remedy == (
        "request less with --param train_memory and run on the CPU with --param accelerator_count=0, "
        "or add a larger node"
    )
    assert outlook(needs(gpus="3"), node(*LARGE)).remedy.startswith("request less with --param accelerator_count, or")


def test_the_toleration_that_is_missing_is_given_whole():
    verdict = outlook(needs(tolerations=[{"key": "a", "operator": "Exists"}]), node(*LARGE, taints=[POOL_TAINT]))
    assert "pool=vision:NoExecute is not tolerated" in verdict.text
    assert verdict.remedy == (
        '--param \'tolerations=[{"key": "a", "operator": "Exists"}, '
        '{"key": "pool", "operator": "Exists", "effect": "NoExecute"}]\''
    )


def container(cpu, memory, **more):
    return {"resources": {"limits": {"cpu": cpu, "memory": memory}}, **more}


def test_all_containers_of_a_pod_count_as_the_scheduler_counts_them():
    pod = {
        "spec": {
            "containers": [container("2", "4Gi"), {"resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "1"}}}],
            "initContainers": [container("3", "1Gi"), container("500m", "1Gi", restartPolicy="Always")],
            "overhead": {"memory": "1Gi"},
        }
    }
    assert pod_needs(pod).amounts == {"cpu": Fraction(3), "memory": Fraction(6 * 2**30)}


def waiting(message, cpu="4", **spec):
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {
        "spec": {"containers": [container(cpu, "1Gi")], **spec},
        "status": {"phase": "Pending", "conditions": [condition]},
    }


FULL = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims."


def test_none_free_now_is_told_from_none_large_enough():
    nodes = read_nodes([node("node-1", "8", "16Gi")])
    now = str(why_no_node(waiting(FULL), nodes))
    assert now.startswith("no node has enough cpu free now; node-1 is large enough")
    never = str(why_no_node(waiting(FULL, cpu="9"), nodes))
    assert never.startswith("no node is large enough: it will wait forever (")
    assert "node-1, offers 8 cpu" in never
    message = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    assert "it will wait forever" in str(why_no_node(waiting(message, nodeSelector={"a": "b"}), nodes))
    cordoned = read_nodes([node("node-1", "8", "16Gi", cordoned=True)])
    message = "0/1 nodes are available: 1 node(s) were unschedulable."
    assert "node-1 is cordoned; kubectl uncordon node-1" in str(why_no_node(waiting(message), cordoned))


def test_what_has_nothing_to_do_with_nodes_is_left_to_others():
    nodes = read_nodes([node("node-1", "8", "16Gi")])
    assert why_no_node(waiting("pod has unbound immediate PersistentVolumeClaims"), nodes) is None
    assert why_no_node(waiting(FULL), []) is None  # they may not be listed
    assert why_no_node({"spec": {}, "status": {"phase": "Pending"}}, nodes) is None
