import pytest
import torch

from sightline.errors import ConfigurationError, StepError
from sightline.models import device
from sightline.models.device import choose_device, gpu_was_assigned


@pytest.fixture
def gpu(monkeypatch):
    """Answers of torch to the question for a GPU, one for each; the last one counts from then on."""
    answers = [False]
    for variable in ("NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: answers.pop(0) if len(answers) > 1 else answers[0])
    monkeypatch.setattr(device, "RETRY_SECONDS", 0.0)
    return answers


def test_without_a_gpu_the_cpu_is_used_unless_a_gpu_is_required(gpu):
    assert choose_device("auto").type == choose_device("cpu").type == "cpu"
    with pytest.raises(ConfigurationError):
        choose_device("cuda")
    gpu[:] = [True]
    assert choose_device("auto").type == choose_device("cuda").type == "cuda"
    assert choose_device("cpu").type == "cpu"


def test_a_gpu_that_was_assigned_is_never_replaced_by_the_cpu(gpu, monkeypatch):
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", "GPU-5f3a")
    with pytest.raises(StepError, match="nvidia-smi"):
        choose_device("auto")
    assert choose_device("cpu").type == "cpu"


def test_a_gpu_that_appears_late_is_used(gpu, monkeypatch):
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", "GPU-5f3a")
    gpu[:] = [False, True]
    assert choose_device("auto").type == "cuda"


@pytest.mark.parametrize(
    ("environment", "has_device", "expected"),
    [
        ({}, False, False),
        ({}, True, False),  # a workstation with a GPU, and a torch without CUDA
        ({"NVIDIA_VISIBLE_DEVICES": "GPU-1,GPU-2"}, False, True),  # the device plugin of Kubernetes
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, False, False),  # a CUDA image on a node without a GPU
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, True, True),  # docker run --gpus all
        ({"NVIDIA_VISIBLE_DEVICES": "void", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}, True, True),  # CDI
        ({"NVIDIA_VISIBLE_DEVICES": "void", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}, False, False),
        ({"NVIDIA_VISIBLE_DEVICES": "GPU-1", "CUDA_VISIBLE_DEVICES": ""}, True, False),  # hidden on purpose
    ],
)
def test_how_an_assigned_gpu_is_recognized(tmp_path, environment, has_device, expected):
    if has_device:
        (tmp_path / "nvidia0").touch()
    assert gpu_was_assigned(environment, tmp_path) == expected
