"""How each program is run once, and what number comes of it: a `Job` is one process (for Danlu's training: two) of a round."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXAMPLES = 60_000  # MNIST's training part


class Failed(Exception):
    """A program could not be measured; says why."""


def run(command, environment=None):
    """Runs to the end: standard output, wall seconds, peak megabytes of that process."""
    command = [str(c) for c in command]
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        begin = time.perf_counter()
        try:
            process = subprocess.Popen(command, stdout=output, stderr=errors, text=True, env={**os.environ, **(environment or {})})
        except OSError as error:
            raise Failed(f"{shlex.join(command)}: {error}") from error
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0), errors.seek(0)
        if process.returncode != 0:
            said = " / ".join(filter(None, map(str.strip, errors.read().splitlines())))
            said = said if len(said) < 600 else f"{said[:200]} ... {said[-400:]}"
            raise Failed(f"{shlex.join(command)} ended with {process.returncode}: {said}")
        return output.read(), seconds, usage.ru_maxrss / 1024


def last_json(output):
    try:
        return json.loads(output.strip().splitlines()[-1])
    except (IndexError, json.JSONDecodeError) as error:
        raise Failed(f"no line of JSON, but {output[-200:]!r}") from error


class Job:
    """`measure()` gives a number for each of the keys that its row has; `version` and `megabytes` are known afterwards."""

    def __init__(self, name, given):
        self.name, self.given = name, given
        self.version, self.megabytes, self.extra = None, 0.0, {}

    def measure(self):
        raise NotImplementedError

    def best(self, _key):
        """Where the best is not that of the rounds' numbers."""
        return None

    def run(self, command, environment=None):
        output, seconds, megabytes = run(command, environment)
        self.megabytes = max(self.megabytes, megabytes)
        return output, seconds


class DanluTraining(Job):
    """Timed from outside: (a long command - a short one) / the epochs between them, so that starting, loading, testing and saving
    cancel out. The best is that of the best long and the best short command."""

    examples = EXAMPLES

    def __init__(self, name, given, recipe, batch, threads=None, isa=None):
        super().__init__(name, given)
        self.options = ["--batch-size", batch, "--threads", threads or given.threads, *(["--isa", isa] if isa else [])]
        self.recipe, self.wall, self.inside = recipe, [[], []], []

    def measure(self):
        for epochs, wall in zip(self.given.epochs, self.wall):
            with tempfile.TemporaryDirectory() as folder:
                output, seconds = self.run(
                    [self.given.danlu, "train", self.recipe, "--validation-split", "0", "--epochs", epochs, "--json", "--quiet",
                     "--data", self.data(Path(folder)), "--out", Path(folder) / "run", *self.options]
                )  # fmt: skip
            wall.append(seconds)
        self.inside.append(1e6 / last_json(output)["samples_per_second"])
        self.extra = {"seconds": dict(zip(map(str, self.given.epochs), self.wall)), "us_per_sample_by_its_own_clock": self.inside}
        return {"": self.between(self.wall[0][-1], self.wall[1][-1])}

    def data(self, _folder):
        return self.given.data

    def between(self, short, long):
        return (long - short) * 1e6 / ((self.given.epochs[1] - self.given.epochs[0]) * self.examples)

    def best(self, _key):
        return self.between(*map(min, self.wall))


class DanluPictures(DanluTraining):
    """The same on as many pictures as the peers are given, written as an .npz file."""

    def __init__(self, name, given, recipe, batch, examples):
        super().__init__(name, given, recipe, batch)
        self.examples = examples

    def data(self, folder):
        sys.path.insert(0, str(HERE / "peers"))
        import numpy
        from mnist import pictures

        images, labels = pictures(self.given.data, self.examples)
        path = folder / "pictures.npz"
        numpy.savez(path, x_train=images, y_train=labels, x_test=images[:640], y_test=labels[:640])
        return path


class DanluBench(Job):
    """`danlu bench`: what it says of every batch or direction, and the peak that it measures on the way."""

    def __init__(self, name, given, arguments, read):
        super().__init__(name, given)
        self.command, self.read = [given.danlu, "bench", *arguments, "--threads", given.threads, "--json", "--quiet"], read

    def measure(self):
        output = json.loads(self.run(self.command)[0])
        if output.get("peak"):
            self.given.peaks.append(output["peak"])
        return self.read(output)


class Script(Job):
    """A peer's Python script; `read` takes the numbers out of its line of JSON."""

    def __init__(self, name, given, script, arguments, read):
        super().__init__(name, given)
        self.command = [sys.executable, HERE / "peers" / script, "--threads", given.threads, *arguments]
        self.environment, self.read = None, read

    def measure(self):
        result = last_json(self.run(self.command, self.environment)[0])
        self.version = result["version"]
        if "formats" in result:
            self.extra = {"formats": result["formats"]}
        return self.read(result)


class Burn(Script):
    """The crate in peers/burn, which bench/run has built."""

    def __init__(self, name, given, batch):
        super().__init__(name, given, "", [], lambda result: {"": min(result["us_per_sample"])})
        binary = HERE / "peers/burn/target/release/burn-mnist"
        self.command = [binary, "--batch-size", batch, "--steps", max(1, given.examples // 5 // batch)]
        self.environment = {"RAYON_NUM_THREADS": str(given.threads)}
