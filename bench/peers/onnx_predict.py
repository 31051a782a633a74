"""Prediction of the article's model in ONNX Runtime: microseconds a sample by the median call, on random inputs.

The graph is made here, with a fixed batch, random weights and all of ONNX Runtime's optimizations. Calling with arrays and calling
with bound buffers are both measured, and the faster counts.
"""

import argparse
import json
import statistics
import time

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--seconds", type=float, default=1.0, help="that each way of calling is measured for")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def article(batch):
    random = np.random.default_rng(0)
    shapes = {"k": (32, 1, 3, 3), "kb": (32,), "w1": (5408, 128), "b1": (128,), "w2": (128, 10), "b2": (10,)}
    weights = [numpy_helper.from_array(random.normal(0, 0.05, s).astype(np.float32), n) for n, s in shapes.items()]
    nodes = [
        helper.make_node("Conv", ["x", "k", "kb"], ["c"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w1", "b1"], ["d"]),
        helper.make_node("Relu", ["d"], ["h"]),
        helper.make_node("Gemm", ["h", "w2", "b2"], ["l"]),
        helper.make_node("Softmax", ["l"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 1, 28, 28])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 10])
    graph = helper.make_graph(nodes, "article", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def median_seconds(call, seconds):
    times, end = [], time.perf_counter() + seconds * 1.2
    while (begin := time.perf_counter()) < end:
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times[len(times) // 6 :])  # the first sixth warms up


def main():
    given = options()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = given.threads
    settings.inter_op_num_threads = 1
    result = {}
    for batch in given.batches:
        session = onnxruntime.InferenceSession(article(batch).SerializeToString(), settings, providers=["CPUExecutionProvider"])
        x = np.random.default_rng(1).random((batch, 1, 28, 28), np.float32)
        binding = session.io_binding()
        inputs, outputs = onnxruntime.OrtValue.ortvalue_from_numpy(x), onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros((batch, 10), np.float32))
        binding.bind_ortvalue_input("x", inputs)
        binding.bind_ortvalue_output("y", outputs)
        ways = [lambda: session.run(None, {"x": x}), lambda: session.run_with_iobinding(binding)]
        result[str(batch)] = min(median_seconds(way, given.seconds) for way in ways) * 1e6 / batch
    print(json.dumps({"peer": "ONNX Runtime", "version": f"ONNX Runtime {onnxruntime.__version__}", "us_per_sample": result}))


main()
