"""Trains a network on one batch until it knows the batch by heart."""

import torch

from sightline.models.stages import train_mode

CPU = torch.device("cpu")


def overfit(task, network, dataset, iterations, learning_rate):
    """Train on all images of a dataset at once; gives the loss at the first iteration, and that at the last ones.

    Batch norms are frozen, because their statistics of a few images vary, and no layers are left out at random.
    """
    for module in network.modules():
        if type(module).__name__ == "DropPath":
            module.drop_prob = 0.0
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, betas=(0.9, 0.99), weight_decay=0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=iterations, pct_start=0.15)
    totals = []
    for iteration in range(1, iterations + 1):
        batch = [dataset.sample(index, iteration) for index in range(len(dataset))]  # other random choices every time
        train_mode(network, stages=0, norms=True)
        total = sum(task.losses(network, batch, CPU).values())
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        totals.append(total.item())
    return totals[0], sum(totals[-5:]) / 5
