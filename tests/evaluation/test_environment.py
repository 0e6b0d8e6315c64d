"""A container with a limit of CPUs computes with as many threads."""

import subprocess
import sys

import pytest

PROGRAM = """
from sightline.data.loading import workers
workers.available_cpus = lambda: {cpus}
import torch
torch.set_num_threads(4)
from sightline.evaluation.environment import use_own_cpus
use_own_cpus()
print(torch.get_num_threads())
"""


@pytest.mark.parametrize(("cpus", "given", "expected"), [(2, "", "2"), (64, "", "4"), (2, "3", "4")])
def test_torch_uses_the_cpus_of_the_container(monkeypatch, cpus, given, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    ran = subprocess.run([sys.executable, "-c", PROGRAM.format(cpus=cpus)], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == expected
