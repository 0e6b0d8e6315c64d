"""Trains a network on one batch until it knows the batch by heart."""

import torch

from sightline.models.stages import train_mode
from tests.squares import draw, make_dataset, write_coco

CPU = torch.device("cpu")


def overfit(task, network, card, folder, iterations, learning_rate, images=2):
    """Train on one batch of images; its loss at the first and the last iteration, and the metrics on the images.

    Batch norms are frozen, because their statistics of a few images vary, and no layers are left out at random.
    """
    document, dataset = write_coco(folder, images), make_dataset(folder, images, augmentation=())
    for module in network.modules():
        if type(module).__name__ == "DropPath":
            module.drop_prob = 0.0
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, betas=(0.9, 0.99), weight_decay=0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=iterations, pct_start=0.15)
    totals = []
    for iteration in range(1, iterations + 1):
        batch = [dataset.sample(index, iteration) for index in range(images)]  # other random choices every time
        train_mode(network, stages=0, norms=True)
        total = sum(task.losses(network, batch, CPU).values())
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        totals.append(total.item())
    predictor = task.predictor(network, card, CPU)
    found = [predictor.predict(draw(index)[0], index + 1) for index in range(images)]
    return totals[0], totals[-1], task.evaluate(document, found)
