"""Training in PyTorch, eager, with fused Adam: one time per epoch, for pictures in the faster of two memory formats.

Loss and accuracy are summed in every step and read once an epoch, as `fit` does elsewhere.
"""

import time

import torch
from torch import nn

from mnist import PICTURES, WARM_UP, load_for, options, report


def normalized(channels, filters):
    return [nn.Conv2d(channels, filters, 3, padding=1), nn.BatchNorm2d(filters), nn.ReLU()]


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
    "vgg": lambda: [
        *normalized(3, 32), *normalized(32, 32), nn.MaxPool2d(2), *normalized(32, 64), *normalized(64, 64), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(4096, 128), nn.ReLU(), nn.Linear(128, 10),
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


def train(given, memory_format):
    """Seconds of each epoch, and the last one's loss."""
    images, labels = load_for(given.model, given.data, given.examples)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
    y = torch.from_numpy(labels)
    model = nn.Sequential(*MODELS[given.model]()).to(memory_format=memory_format).train()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    loss_of = nn.CrossEntropyLoss()
    epoch(model, optimizer, loss_of, x[:WARM_UP], y[:WARM_UP], given.batch_size)
    seconds, loss = [], None
    for _ in range(given.epochs):
        begin = time.perf_counter()
        loss = epoch(model, optimizer, loss_of, x, y, given.batch_size)
        seconds.append(time.perf_counter() - begin)
    return seconds, loss


def main():
    given = options(MODELS)
    torch.set_num_threads(given.threads)
    version = f"PyTorch {torch.__version__}"
    formats = {"contiguous": torch.contiguous_format}
    if given.model in PICTURES:
        formats["channels_last"] = torch.channels_last
    found = {name: train(given, memory_format) for name, memory_format in formats.items()}
    count = min(given.examples, 60_000)
    seconds, loss = min(found.values(), key=lambda one: min(one[0]))
    more = {"formats": {name: min(times) / count * 1e6 for name, (times, _) in found.items()}} if len(found) > 1 else {}
    report("PyTorch eager", version, seconds, count, loss, **more)


main()
