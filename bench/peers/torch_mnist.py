"""The article's model in PyTorch, eager, with fused Adam: one time per epoch.

Loss and accuracy are summed in every step and read once an epoch, as `fit` does elsewhere.
"""

import time

import torch
from torch import nn

from mnist import load, options, report


def tensors(folder, part):
    images, labels = load(folder, part)
    return torch.from_numpy(images.copy()).float().div_(255)[:, None], torch.from_numpy(labels)


def main():
    given = options()
    torch.set_num_threads(given.threads)
    x, y = tensors(given.data, "train")
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(5408, 128), nn.ReLU(), nn.Linear(128, 10)
    )
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    loss_of = nn.CrossEntropyLoss()
    seconds = []
    for _ in range(given.epochs):
        begin = time.perf_counter()
        order = torch.randperm(len(x))
        total_loss = torch.zeros(())
        right = torch.zeros((), dtype=torch.int64)
        for rows in order.split(given.batch_size):
            inputs, labels = x[rows], y[rows]
            logits = model(inputs)
            loss = loss_of(logits, labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                total_loss += loss.detach() * len(rows)
                right += (logits.argmax(1) == labels).sum()
        float(total_loss), int(right)
        seconds.append(time.perf_counter() - begin)
    accuracy = None
    if given.evaluate:
        x_test, y_test = tensors(given.data, "t10k")
        with torch.no_grad():
            accuracy = float((model(x_test).argmax(1) == y_test).float().mean())
    report("PyTorch eager", f"PyTorch {torch.__version__}", seconds, len(x), accuracy)


main()
