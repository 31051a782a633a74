"""Training in PyTorch, eager, with fused Adam: one time per epoch.

Loss and accuracy are summed in every step and read once an epoch, as `fit` does elsewhere.
"""

import time

import torch
from torch import nn

from mnist import WARM_UP, load, options, report

MODELS = {
    "article": lambda: [
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(5408, 128), nn.ReLU(), nn.Linear(128, 10),
    ],
    "mlp": lambda: [
        nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10),
    ],
    "keras-example": lambda: [
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, 10),
    ],
    "lenet": lambda: [
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    ],
}  # fmt: skip


def epoch(model, optimizer, loss_of, x, y, batch_size):
    """One pass in a new order: its mean loss."""
    total_loss = torch.zeros(())
    right = torch.zeros((), dtype=torch.int64)
    for rows in torch.randperm(len(x)).split(batch_size):
        inputs, labels = x[rows], y[rows]
        logits = model(inputs)
        loss = loss_of(logits, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            total_loss += loss.detach() * len(rows)
            right += (logits.argmax(1) == labels).sum()
    int(right)
    return float(total_loss) / len(x)


def main():
    given = options(MODELS)
    torch.set_num_threads(given.threads)
    images, labels = load(given.data, given.examples)
    x, y = torch.from_numpy(images)[:, None], torch.from_numpy(labels)
    model = nn.Sequential(*MODELS[given.model]()).train()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    loss_of = nn.CrossEntropyLoss()
    epoch(model, optimizer, loss_of, x[:WARM_UP], y[:WARM_UP], given.batch_size)
    seconds, loss = [], None
    for _ in range(given.epochs):
        begin = time.perf_counter()
        loss = epoch(model, optimizer, loss_of, x, y, given.batch_size)
        seconds.append(time.perf_counter() - begin)
    report("PyTorch eager", f"PyTorch {torch.__version__}", seconds, len(x), loss)


main()
