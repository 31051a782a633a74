"""What is measured: rows, and the programs of each in the order in which a round runs them."""

import statistics
from dataclasses import dataclass, field
from typing import Callable

from programs import HERE, Burn, DanluBench, DanluPictures, DanluTraining, Script

CONVOLUTION = {"batch": 32, "size": 28, "channels": 64, "filters": 64, "kernel": 3}
DIRECTIONS = {"forward": "forward", "input_gradient": "data gradient", "weight_gradient": "weight gradient"}
BATCHES = {"1": "batch 1", "64": "batch 64"}


@dataclass
class Row:
    name: str
    title: str
    unit: str
    jobs: dict[str, Callable]
    keys: dict[str, str] = field(default_factory=lambda: {"": ""})  # where one process gives several numbers
    more_is_better: bool = False


def training(name, title, model, batch, others=None, pictures=None):
    """`pictures`: how many examples an epoch has, for a model of pictures in three channels."""
    recipe = "mnist" if model == "article" else HERE / "recipes" / f"{model}.toml"

    def examples(given):
        return min(pictures, given.examples) if pictures else given.examples

    def script(label, file):
        def job(given):
            arguments = ["--model", model, "--data", given.data, "--batch-size", batch, "--examples", examples(given)]
            return Script(label, given, file, arguments, lambda result: {"": min(result["us_per_sample"])})

        return job

    def danlu(given):
        if pictures:
            return DanluPictures("Danlu", given, recipe, batch, examples(given))
        return DanluTraining("Danlu", given, recipe, batch)

    jobs = {
        "danlu": danlu,
        "keras": script("Keras/TensorFlow fit", "keras_train.py"),
        "torch": script("PyTorch eager", "torch_train.py"),
    }
    return Row(name, f"Training {title}, batch {batch}", "us per sample", jobs | (others or {}))


def convolution():
    c = CONVOLUTION
    shape = [c["batch"], c["size"], c["size"], c["channels"]]
    flop = 2 * c["batch"] * c["size"] ** 2 * c["channels"] * c["filters"] * c["kernel"] ** 2
    danlu = ["--op", "conv2d", "--shape", "x".join(map(str, shape)), "--padding", "same",
             "--kernel", f"{c['filters']}x{c['kernel']}x{c['kernel']}"]  # fmt: skip

    def read(output):
        # Counted here, as for the peer, so that both mean the same by a FLOP.
        return {entry["direction"]: flop / entry["median_us"] / 1e3 for entry in output["results"]}

    def torch(given):
        arguments = ["--shape", *shape, "--filters", c["filters"], "--kernel", c["kernel"], "--calls", 3 if given.smoke else 40]
        return Script("PyTorch", given, "torch_convolution.py", arguments, lambda result: result["gflops"])

    title = (f"A convolution of {c['channels']} channels to {c['filters']}, {c['kernel']}x{c['kernel']}, on {c['size']}x{c['size']}, "
             f"batch {c['batch']}, padding `same` (its zeros count as operands)")  # fmt: skip
    jobs = {"danlu": lambda given: DanluBench("Danlu", given, danlu, read), "torch": torch}
    return Row("convolution", title, "GFLOP/s", jobs, DIRECTIONS, more_is_better=True)


def prediction():
    def read(output):
        return {str(entry["batch"]): entry["us_per_sample"] for entry in output["results"]}

    def onnx(given):
        arguments = ["--batches", *BATCHES, "--seconds", 0.2 if given.smoke else 1]
        return Script("ONNX Runtime", given, "onnx_predict.py", arguments, lambda result: result["us_per_sample"])

    jobs = {"danlu": lambda given: DanluBench("Danlu", given, ["mnist", "--batch", ",".join(BATCHES)], read), "onnx": onnx}
    return Row("prediction", "Prediction of the article's model", "us per sample", jobs, BATCHES)


def residual(name, title, batches, peers, train=True):
    """A network of danlu-zoo on random pictures; the peers build the same (peers/residual.py)."""

    def read(output):
        return {str(entry["batch"]): entry["median_us"] / 1e3 for entry in output["results"]}

    def script(label, peer):
        def job(given):
            (batch,) = batches
            arguments = ["--peer", peer, "--model", name, "--batch", batch, "--steps", 1 if given.smoke else 6]
            return Script(label, given, "residual.py", arguments, lambda result: {batch: statistics.median(result["ms"])})

        return job

    command = [name, "--batch", ",".join(batches), *(["--train"] if train else [])]
    jobs = {"danlu": lambda given: DanluBench("Danlu", given, command, read)}
    jobs |= {peer: script(label, peer) for peer, label in peers.items()}
    what = "a training step" if train else "prediction"
    return Row(f"{name}-{'-'.join(batches)}", f"{title}, {what}", "ms", jobs, {batch: f"batch {batch}" for batch in batches})


def peak():
    def read(output):
        return {"arithmetic": output["peak"]["gflops"], "memory": output["peak"]["gigabytes_per_second"]}

    command = ["--op", "relu", "--shape", "64x64", "--iterations", "1"]
    keys = {"arithmetic": "multiply-adds in registers", "memory": "streaming"}
    jobs = {"danlu": lambda given: DanluBench("Danlu", given, command, read)}
    return Row("peak", "The machine's peak", "GFLOP/s and GB/s", jobs, keys, more_is_better=True)


ARTICLE = "the article's model (Conv 32 3x3 ReLU, max-pooling 2x2, Dense 128 ReLU, Dense 10)"
ROWS = [
    peak(),
    training(
        "article-64", ARTICLE, "article", 64,
        {
            "burn": lambda given: Burn("Burn flex", given, 64),
            "danlu-1": lambda given: DanluTraining("Danlu, 1 thread", given, "mnist", 64, threads=1),
            "danlu-avx2": lambda given: DanluTraining("Danlu, AVX2", given, "mnist", 64, isa="avx2"),
        },
    ),
    training("article-32", ARTICLE, "article", 32),
    training("article-256", ARTICLE, "article", 256),
    training("mlp", "a perceptron 784-512-512-10, ReLU", "mlp", 128),
    training("keras-example", "Keras' MNIST example (Conv 32 3x3, pool, Conv 64 3x3, pool, dropout, Dense 10)", "keras-example", 128),
    training("lenet", "LeNet-5 (5x5 convolutions of 6 and 16, tanh, average pooling, Dense 120, 84, 10)", "lenet", 64),
    training(
        "vgg", "a VGG-like net ((Conv 3x3, batch normalization, ReLU) twice of 32, max-pooling, twice of 64, max-pooling, Dense 128, 10) on 32x32x3",
        "vgg", 64, pictures=12_800,
    ),
    convolution(),
    prediction(),
    residual("resnet20", "ResNet-20 on 32x32x3", ["128"], {"torch": "PyTorch eager", "tensorflow": "Keras/TensorFlow"}),
    residual("resnet18", "ResNet-18 at 224x224", ["8"], {"torch": "PyTorch eager"}),
    residual("resnet50", "ResNet-50 at 224x224", ["1"], {"onnx": "ONNX Runtime"}, train=False),
    residual("resnet50", "ResNet-50 at 224x224", ["16"], {"onnx": "ONNX Runtime"}, train=False),
]  # fmt: skip
