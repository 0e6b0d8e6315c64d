"""Why pods do not start and how they ended."""

import pytest

from sightline.kubeflow.watch.waiting import image_lacks, known_cause, why_ended, why_waiting


def pending(*, reason="", message="", unschedulable="", image="x:1"):
    status = {"phase": "Pending"}
    if reason:
        waiting = {"reason": reason, "message": message}
        status["containerStatuses"] = [{"name": "main", "image": image, "state": {"waiting": waiting}}]
    if unschedulable:
        status["conditions"] = [{"type": "PodScheduled", "status": "False", "message": unschedulable}]
    return {"status": status}


# Several kinds of nodes, with the message of the kube-scheduler of 1.33.
GPU = (
    "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 node(s) had untolerated taint {role: x}. preemption: "
    "0/3 nodes are available: 3 No preemption victims found for incoming pod."
)


@pytest.mark.parametrize(
    ("pod", "says"),
    [
        (pending(unschedulable=GPU), "no node has enough nvidia.com/gpu free now, or any"),
        (pending(unschedulable="0/1 nodes are available: 1 Insufficient nvidia.com/gpu. preemption: 0/1 nodes are "
         "available: 1 No preemption victims found for incoming pod."), "--param accelerator_count=0"),
        (pending(unschedulable="0/1 nodes are available: 1 Insufficient habana.ai/gaudi."), "habana.ai/gaudi free"),
        (pending(unschedulable="0/1 nodes are available: 1 Insufficient memory. no new claims"), "no node has enough"),
        (pending(unschedulable='0/1 nodes are available: persistentvolumeclaim "w" not found.'),
         "volume claim w is missing"),
        (pending(unschedulable="0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: "
         "0/1 nodes are available: 1 Preemption is not helpful for scheduling."), "is not bound"),
        (pending(unschedulable="0/1 nodes are available: 1 node(s) had untolerated taint {gpu: true}."), "(gpu: true)"),
        (pending(unschedulable="0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."),
         "node_selector"),
        (pending(unschedulable="something new"), "something new"),
        (pending(reason="CreateContainerConfigError", message='secret "s" not found'), "secret s is missing"),
        (pending(reason="CreateContainerConfigError", message="couldn't find key password in Secret kubeflow/s"),
         "secret s lacks the key password"),
        (pending(reason="CreateContainerConfigError", message='configmap "c" not found'), "ConfigMap c is missing"),
        (pending(reason="ErrImageNeverPull", image="y:2"), "image y:2 is not found; push it"),
        (pending(reason="ImagePullBackOff", image="r/y:2", message="pull access denied, 401 Unauthorized"),
         "the registry does not give image r/y:2"),
        (pending(reason="InvalidImageName", image="Y y", message="couldn't parse image"), "'Y y' is not an image name"),
        (pending(reason="RunContainerError", message="exec: no such file"), "RunContainerError: exec: no such file"),
    ],
)  # fmt: skip
def test_why_a_pod_waits(pod, says):
    assert says in str(why_waiting(pod))


def test_events_tell_where_the_pod_does_not():
    starting = pending(reason="ContainerCreating")
    mount = {"type": "Warning", "reason": "FailedMount", "message": 'MountVolume.SetUp failed: secret "k" not found'}
    assert why_waiting(starting) is None
    assert "secret k is missing" in str(why_waiting(starting, [{"type": "Normal", "message": "Scheduled"}, mount]))
    assert why_waiting({"status": {"phase": "Running"}}, [mount]) is None


def test_of_several_warnings_the_one_that_is_understood_counts_until_it_is_mended():
    """In this order they were seen at a pod without its image, when its node had been started anew."""
    pull = {"type": "Warning", "reason": "Failed", "message": 'Failed to pull image "r/none:1": no such host'}
    normal = [{"type": "Normal", "reason": reason} for reason in ("Pulling", "BackOff", "Pulled")]
    mount = {"type": "Warning", "reason": "FailedMount", "message": 'MountVolume.SetUp failed for volume "v"'}
    starting = pending(reason="PodInitializing")
    events = [pull, *normal[:2], mount]
    assert str(why_waiting(starting, events)).startswith("image r/none:1 cannot be pulled; push it")
    assert str(why_waiting(starting, [mount])).startswith("FailedMount: MountVolume")
    assert why_waiting(starting, [*events, normal[2]]) is None


def test_a_quota():
    message = (
        'pods "q" is forbidden: exceeded quota: sightline-quota, requested: requests.nvidia.com/gpu=1, used: '
        "requests.nvidia.com/gpu=1, limited: requests.nvidia.com/gpu=0"
    )
    assert "quota sightline-quota is used up" in str(known_cause(message))


def ended(**terminated):
    return {"status": {"containerStatuses": [{"name": "main", "state": {"terminated": terminated}}]}}


@pytest.mark.parametrize(
    ("pod", "says"),
    [
        (ended(exitCode=3, reason="Error"), "exit code 3"),
        (ended(exitCode=137, reason="OOMKilled"), "exit code 137: it used more memory than its limit (OOMKilled)"),
        (ended(exitCode=128, reason="StartError", message="exec: no such file"),
         "exit code 128, StartError: exec: no such file"),
        ({"status": {"reason": "Evicted", "message": "The node was low on memory."}},
         "Evicted: The node was low on memory."),
        ({"status": {}}, ""),
    ],
)  # fmt: skip
def test_how_a_pod_ended(pod, says):
    assert why_ended(pod) == says


@pytest.mark.parametrize(
    ("line", "lacks"),
    [
        ("ModuleNotFoundError: No module named 'sightline_bootstrap'", "Sightline"),
        # python3 -m, where the package is not there
        ("/usr/bin/python3: Error while finding module specification for 'sightline.kubeflow.doctor.inside' "
         "(ModuleNotFoundError: No module named 'sightline')", "Sightline"),
        ("(ModuleNotFoundError: No module named 'kfp')", "kfp"),
        ("ModuleNotFoundError: No module named 'torch'", "torch"),
        # runc, where there is no such program
        ('exit code 128, StartError: unable to start container process: exec: "python3": executable file not found in '
         "$PATH", "python3"),
        # A fault of the code and not of the image.
        ("ModuleNotFoundError: No module named 'sightline.steps.none'", None),
        ("exit code 1", None),
    ],
)  # fmt: skip
def test_what_an_image_lacks(line, lacks):
    found = str(image_lacks("x:1", ["hello", line]))
    assert found.startswith(f"image x:1 has no {lacks} in it; build it") if lacks else found == "None"
    assert lacks is None or image_lacks("", [line]).text == f"the image has no {lacks} in it"
