"""The targets, and what was measured beside them. A ratio above its target is met, but for shares of the limit."""

from dataclasses import dataclass

# What a training step of the article's model must multiply and add, of one sample: the convolution forward (0.389 MFLOP), its
# weight gradient through the quarter that max-pooling let pass (0.097), the dense products forward and twice backward (4.161).
ARTICLE_MFLOP = 4.65


@dataclass
class Verdict:
    what: str
    target: str
    bests: float | None = None
    medians: float | None = None
    met: bool | None = None  # None: not measured


def verdicts(series, peak):
    """`series[(row, key, program)]` has `best` and `median`; `peak` is (best, median) GFLOP/s or None."""
    result = []

    def both(row, program, key=""):
        found = series.get((row, key, program))
        return found and (found.best, found.median)

    def add(what, top, bottom, least=None, most=None, above=False):
        target = f"at most {most:g}" if most is not None else f"above {least:g}" if above else f"at least {least:g}"
        verdict = Verdict(what, target)
        if top and bottom:
            verdict.bests, verdict.medians = (a / b for a, b in zip(top, bottom))
            verdict.met = verdict.bests <= most if most is not None else verdict.bests > least if above else verdict.bests >= least
        result.append(verdict)

    def fastest(row):
        peers = [both(row, "keras"), both(row, "torch")]
        return tuple(map(min, zip(*peers))) if all(peers) else None

    limit = peak and tuple(ARTICLE_MFLOP * 1e3 / gflops for gflops in peak)
    ours = both("article-64", "danlu")
    add("article's model, batch 64: time / arithmetic limit", ours, limit, most=1.4)
    add("article's model, batch 64: Keras/TensorFlow's time / Danlu's", both("article-64", "keras"), ours, least=3.5)
    add("article's model, batch 64: PyTorch's time / Danlu's", both("article-64", "torch"), ours, least=5.5)
    add("article's model, batch 64: Burn's time / Danlu's", both("article-64", "burn"), ours, least=15)
    add("article's model, batch 32: time / arithmetic limit", both("article-32", "danlu"), limit, most=1.6)
    add("article's model, batch 256: time / arithmetic limit", both("article-256", "danlu"), limit, most=1.3)
    for row, name, least in [("mlp", "MLP", 1.25), ("keras-example", "Keras' example", 2.2), ("lenet", "LeNet-5", 2.5),
                             ("vgg", "VGG-like net", 1.25)]:  # fmt: skip
        add(f"{name}: the faster peer's time / Danlu's", fastest(row), both(row, "danlu"), least=least)
    for key, name in [("forward", "forward"), ("input_gradient", "data gradient"), ("weight_gradient", "weight gradient")]:
        speed = both("convolution", "danlu", key)
        add(f"convolution, {name}: GFLOP/s / peak", speed, peak, least=0.75)
        add(f"convolution, {name}: GFLOP/s / PyTorch's", speed, both("convolution", "torch", key), least=1)
    for batch in ("1", "64"):
        add(f"prediction, batch {batch}: ONNX Runtime's time / Danlu's", both("prediction", "onnx", batch),
            both("prediction", "danlu", batch), least=1, above=True)  # fmt: skip
    add("article's model, batch 64: time on 1 thread / on 2", both("article-64", "danlu-1"), ours, least=1.8)
    add("article's model, batch 64: PyTorch's time / Danlu's with AVX2", both("article-64", "torch"), both("article-64", "danlu-avx2"), least=4)
    return result
