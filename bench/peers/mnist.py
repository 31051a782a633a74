"""What the peers' scripts share: options, MNIST in memory, and the line of JSON that they print."""

import argparse
import gzip
import json
import resource
from pathlib import Path

import numpy as np


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True, help="folder with MNIST's IDX files, plain or gzipped")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--evaluate", action="store_true", help="test accuracy too")
    return parser.parse_args()


def idx(folder, name):
    plain = folder / name
    raw = plain.read_bytes() if plain.exists() else gzip.decompress((folder / f"{name}.gz").read_bytes())
    axes = raw[3]
    shape = np.frombuffer(raw, ">i4", axes, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)


def load(folder, part="train"):
    """(n, 28, 28) u8 and (n,) i64."""
    return idx(folder, f"{part}-images-idx3-ubyte"), idx(folder, f"{part}-labels-idx1-ubyte").astype(np.int64)


def report(peer, version, epoch_seconds, examples, accuracy=None):
    print(
        json.dumps(
            {
                "peer": peer,
                "version": version,
                "epoch_us_per_sample": [s / examples * 1e6 for s in epoch_seconds],
                "test_accuracy": accuracy,
                "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )
