"""A convolution in PyTorch, its data gradient and its weight gradient: GFLOP/s by the median call.

Both memory formats are measured and the faster one counts, direction by direction.
"""

import argparse
import json
import statistics
import time

import torch


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", type=int, nargs=4, default=[32, 28, 28, 64], metavar=("N", "H", "W", "C"))
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--kernel", type=int, default=3, help="odd; the padding is `same`")
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def median_seconds(call, calls):
    seconds = []
    for number in range(calls + 3):
        begin = time.perf_counter()
        call()
        if number >= 3:
            seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def directions(given, memory_format):
    """What to call, by direction."""
    batch, height, width, channels = given.shape
    pad = given.kernel // 2
    x = torch.randn(batch, channels, height, width).to(memory_format=memory_format)
    w = torch.randn(given.filters, channels, given.kernel, given.kernel).to(memory_format=memory_format)
    y = torch.nn.functional.conv2d(x, w, padding=pad)
    gradient = torch.randn_like(y)

    def backward(mask):
        torch.ops.aten.convolution_backward(gradient, x, w, None, [1, 1], [pad, pad], [1, 1], False, [0, 0], 1, mask)

    return {
        "forward": lambda: torch.nn.functional.conv2d(x, w, padding=pad),
        "input_gradient": lambda: backward([True, False, False]),
        "weight_gradient": lambda: backward([False, True, False]),
    }


def main():
    given = options()
    torch.set_num_threads(given.threads)
    batch, height, width, channels = given.shape
    gigaflop = 2e-9 * batch * height * width * channels * given.filters * given.kernel**2
    gflops, formats = {}, {}
    with torch.inference_mode():
        for name, memory_format in [("channels first", torch.contiguous_format), ("channels last", torch.channels_last)]:
            for direction, call in directions(given, memory_format).items():
                speed = gigaflop / median_seconds(call, given.calls)
                if speed > gflops.get(direction, 0):
                    gflops[direction], formats[direction] = speed, name
    print(json.dumps({"peer": "PyTorch", "version": f"PyTorch {torch.__version__}", "gflops": gflops, "formats": formats}))


main()
