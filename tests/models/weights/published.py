"""Checkpoints as their publishers offer them: files of the libraries' own models, named by their digest."""

import hashlib

import torch
from torch import nn
from torchvision.models import get_weight


def randomize(network, seed=0):
    """Give norms other values than their initial ones, so that a norm that was not loaded is noticed."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.weight.data.uniform_(0.5, 1, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
    return network


def publish(monkeypatch, name, tensors, folder):
    """Let torchvision's URL of some weights lead to a file with these tensors; gives the file."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, folder / "new.pth")
    digest = hashlib.sha256((folder / "new.pth").read_bytes()).hexdigest()
    path = (folder / "new.pth").rename(folder / f"{name.partition('_')[0].lower()}-{digest[:8]}.pth")
    monkeypatch.setattr(get_weight(name).value, "url", path.as_uri())
    return path


def difference(one, other):
    """The largest difference of two tensors, relative to the largest value."""
    return ((one - other).abs().max() / other.abs().max()).item()
