"""Residual networks on random pictures: a training step in PyTorch or TensorFlow, or inference in ONNX Runtime.

    residual.py --peer torch|tensorflow|onnx --model resnet20|resnet18|resnet50 --batch 128 --steps 5

Prints one line of JSON: milliseconds of each step, and the peak of the process's memory. The networks are those of crates/danlu-zoo: ResNet-20
with the paper's shortcuts without parameters, ResNet-18 with projections, ResNet-50 as keras.applications has it. PyTorch runs its tensors with
channels last or first, as --channels says; ONNX Runtime gets the graph with normalizations folded into convolutions by PyTorch's exporter and
all of its own optimizations.
"""

import argparse
import json
import os
import resource
import tempfile
import time

SIZES = {"resnet20": 32, "resnet18": 224, "resnet50": 224}
CLASSES = {"resnet20": 10, "resnet18": 1000, "resnet50": 1000}


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", choices=["torch", "tensorflow", "onnx"], required=True)
    parser.add_argument("--model", choices=sorted(SIZES), required=True)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--channels", choices=["last", "first"], default="last")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def report(peer, version, given, seconds):
    """The first two steps warm up."""
    print(json.dumps({
        "peer": peer,
        "version": version,
        "ms": [round(1e3 * second, 1) for second in seconds[2:]],
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }))  # fmt: skip


def timed(call, steps):
    seconds = []
    for _ in range(steps + 2):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return seconds


def torch_model(name):
    import torch
    from torch import nn
    from torch.nn import functional as F

    def conv(inputs, outputs, size, stride=1, bias=False):
        return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=bias)

    class Basic(nn.Module):
        def __init__(self, inputs, outputs, stride, projects):
            super().__init__()
            self.c1, self.b1 = conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
            self.c2, self.b2 = conv(outputs, outputs, 3), nn.BatchNorm2d(outputs)
            self.short, self.stride, self.more = None, stride, outputs - inputs
            if projects and (stride != 1 or inputs != outputs):
                self.short = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

        def forward(self, x):
            y = self.b2(self.c2(F.relu(self.b1(self.c1(x)))))
            if self.short is not None:
                x = self.short(x)
            elif self.stride != 1:
                x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
            return F.relu(x + y)

    class Bottleneck(nn.Module):
        def __init__(self, inputs, filters, stride):
            super().__init__()
            self.c1, self.b1 = conv(inputs, filters, 1, stride, True), nn.BatchNorm2d(filters)
            self.c2, self.b2 = conv(filters, filters, 3, 1, True), nn.BatchNorm2d(filters)
            self.c3, self.b3 = conv(filters, 4 * filters, 1, 1, True), nn.BatchNorm2d(4 * filters)
            self.short = None
            if stride != 1 or inputs != 4 * filters:
                self.short = nn.Sequential(conv(inputs, 4 * filters, 1, stride, True), nn.BatchNorm2d(4 * filters))

        def forward(self, x):
            y = F.relu(self.b1(self.c1(x)))
            y = self.b3(self.c3(F.relu(self.b2(self.c2(y)))))
            return F.relu(y + (x if self.short is None else self.short(x)))

    if name == "resnet20":
        layers, width = [conv(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU()], 16
        for stage in range(3):
            for block in range(3):
                outputs = 16 << stage
                layers.append(Basic(width, outputs, 2 if stage and not block else 1, False))
                width = outputs
    else:
        layers, width = [conv(3, 64, 7, 2, name == "resnet50"), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
        blocks = {"resnet18": [2, 2, 2, 2], "resnet50": [3, 4, 6, 3]}[name]
        for stage, count in enumerate(blocks):
            for block in range(count):
                stride, filters = 2 if stage and not block else 1, 64 << stage
                layers.append(Basic(width, filters, stride, True) if name == "resnet18" else Bottleneck(width, filters, stride))
                width = filters if name == "resnet18" else 4 * filters
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, CLASSES[name])]
    return nn.Sequential(*layers)


def torch_step(given):
    import torch

    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    model = torch_model(given.model).train()
    size = SIZES[given.model]
    x, y = torch.randn(given.batch, 3, size, size), torch.randint(0, CLASSES[given.model], (given.batch,))
    if given.channels == "last":
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    report("PyTorch", torch.__version__, given, timed(step, given.steps))


def tensorflow_step(given):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import numpy as np
    import tensorflow as tf
    from keras import layers

    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    tf.config.threading.set_inter_op_parallelism_threads(given.threads)
    assert given.model == "resnet20", "TensorFlow is measured on ResNet-20 alone"

    def normalized(x, filters, stride):
        x = layers.Conv2D(filters, 3, stride, "same", use_bias=False)(x)
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)

    inputs = keras.Input((32, 32, 3))
    x = layers.ReLU()(normalized(inputs, 16, 1))
    for stage in range(3):
        for block in range(3):
            stride = 2 if stage and not block else 1
            short = x
            if stride == 2:
                short = layers.AveragePooling2D(1, 2)(x)
                short = layers.Concatenate()([short, layers.Rescaling(0.0)(short)])
            y = layers.ReLU()(normalized(x, 16 << stage, stride))
            x = layers.ReLU()(layers.Add()([short, normalized(y, 16 << stage, 1)]))
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    random = np.random.default_rng(0)
    images = tf.constant(random.standard_normal((given.batch, 32, 32, 3)).astype(np.float32))
    labels = tf.constant(random.integers(0, 10, given.batch))
    model.make_train_function()
    data = tf.data.Dataset.from_tensors((images, labels)).repeat()
    batches = iter(data)
    report("TensorFlow", tf.__version__, given, timed(lambda: model.train_function(batches), given.steps))


def onnx_prediction(given):
    import numpy as np
    import onnxruntime
    import torch

    torch.manual_seed(0)
    model, size = torch_model(given.model).eval(), SIZES[given.model]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        torch.onnx.export(model, torch.randn(given.batch, 3, size, size), path, dynamo=False, input_names=["x"], output_names=["y"])
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = given.threads, 1
        session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).standard_normal((given.batch, 3, size, size)).astype(np.float32)
    report("ONNX Runtime", onnxruntime.__version__, given, timed(lambda: session.run(None, {"x": x}), given.steps))


def main():
    given = options()
    {"torch": torch_step, "tensorflow": tensorflow_step, "onnx": onnx_prediction}[given.peer](given)


main()
