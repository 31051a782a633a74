"""What the peers' training scripts share: options, MNIST in memory, and the line of JSON that they print."""

import argparse
import gzip
import json
from pathlib import Path

import numpy as np

PICTURES = ["vgg"]  # models of 32x32 pictures in three channels
WARM_UP = 3_000  # examples trained on before the clock starts: compiling, allocating, caches


def options(models):
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=sorted(models), default="article")
    parser.add_argument("--data", type=Path, required=True, help="folder with MNIST's IDX files, plain or gzipped")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=2, help="each is timed; some steps before them are not")
    parser.add_argument("--examples", type=int, default=60_000, help="of an epoch")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def idx(folder, name):
    plain = folder / name
    raw = plain.read_bytes() if plain.exists() else gzip.decompress((folder / f"{name}.gz").read_bytes())
    axes = raw[3]
    shape = np.frombuffer(raw, ">i4", axes, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)


def load(folder, examples):
    """(n, 28, 28) f32 from 0 to 1 and (n,) i64."""
    images, labels = idx(folder, "train-images-idx3-ubyte"), idx(folder, "train-labels-idx1-ubyte")
    return images[:examples].astype(np.float32) / 255, labels[:examples].astype(np.int64)


def pictures(folder, examples):
    """The digits with a border of 2 and in three channels: (n, 32, 32, 3) bytes and (n,) i64."""
    images, labels = idx(folder, "train-images-idx3-ubyte"), idx(folder, "train-labels-idx1-ubyte")
    padded = np.pad(images[:examples], ((0, 0), (2, 2), (2, 2)))
    return np.repeat(padded[..., None], 3, axis=-1), labels[:examples].astype(np.int64)


def load_for(model, folder, examples):
    """What a model is trained on: (n, height, width, channels) f32 from 0 to 1 and (n,) i64."""
    if model in PICTURES:
        images, labels = pictures(folder, examples)
        return images.astype(np.float32) / 255, labels
    images, labels = load(folder, examples)
    return images[..., None], labels


def report(peer, version, epoch_seconds, examples, loss, **more):
    """`loss` is the last epoch's: a peer that does not learn is not measured, it is broken."""
    times = [s / examples * 1e6 for s in epoch_seconds]
    print(json.dumps({"peer": peer, "version": version, "us_per_sample": times, "loss": loss, **more}))
