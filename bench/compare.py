"""Danlu and its peers on the article's model, alternating, in one run; writes RESULTS.md. Started by bench/run.

Danlu is timed from outside: (best 6-epoch command - best 2-epoch command) / 4 epochs, so that starting, loading, testing
and saving cancel out. A peer's time is that of its epochs after the first, measured inside its process.
"""

import argparse
import datetime
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
EXAMPLES = 60_000
SHORT, LONG = 2, 6


def options():
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with MNIST's IDX files (default: $DANLU_DATA/mnist, then the user's cache)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--peer-epochs", type=int, default=3, help="epochs of a peer in each round; the first warms up")
    parser.add_argument("--only", default="danlu,keras,torch", help="which to run, by comma")
    parser.add_argument("--danlu", type=Path, default=ROOT / "target/release/danlu", help="the binary")
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md")
    return parser.parse_args()


def find_data(given):
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    places = [given] if given else [Path(os.environ[v]) / "mnist" for v in ["DANLU_DATA"] if v in os.environ] + [cache / "danlu/mnist"]
    for place in places:
        if any((place / f"train-images-idx3-ubyte{end}").exists() for end in ("", ".gz")):
            return place.resolve()
    sys.exit(f"bench/run: no MNIST in {', '.join(map(str, places))}; README.md says which four files to put where")


def run(command):
    """Runs to the end: standard output, wall seconds, peak megabytes of that process."""
    with tempfile.TemporaryFile("w+") as output:
        begin = time.perf_counter()
        process = subprocess.Popen([str(c) for c in command], stdout=output, stderr=subprocess.PIPE, text=True)
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        if process.returncode != 0:
            sys.exit(f"bench/run: {shlex.join(map(str, command))}\nended with {process.returncode}:\n{errors[-2000:]}")
        return output.read(), seconds, usage.ru_maxrss / 1024


class Danlu:
    name = "Danlu"

    def __init__(self, given, data):
        self.given, self.data = given, data
        self.wall = {SHORT: [], LONG: []}
        self.inside, self.megabytes = [], []
        self.version = run([given.danlu, "--version"])[0].strip()

    def round(self):
        for epochs in (SHORT, LONG):
            with tempfile.TemporaryDirectory() as folder:
                output, seconds, megabytes = run(
                    [self.given.danlu, "train", "mnist", "--validation-split", "0", "--epochs", epochs, "--json", "--quiet",
                     "--batch-size", self.given.batch_size, "--threads", self.given.threads, "--data", self.data,
                     "--out", Path(folder) / "run"]
                )
            self.wall[epochs].append(seconds)
            self.megabytes.append(megabytes)
        self.inside.append(1e6 / json.loads(output)["samples_per_second"])
        return self.rounds()[-1]

    def rounds(self):
        """Per round; noise of the short command enters each."""
        return [(b - a) / ((LONG - SHORT) * EXAMPLES) * 1e6 for a, b in zip(self.wall[SHORT], self.wall[LONG])]

    def best(self):
        return (min(self.wall[LONG]) - min(self.wall[SHORT])) / ((LONG - SHORT) * EXAMPLES) * 1e6


class Peer:
    def __init__(self, given, data, script):
        self.command = [sys.executable, HERE / "peers" / script, "--data", data, "--batch-size", given.batch_size,
                        "--epochs", given.peer_epochs, "--threads", given.threads]
        self.name = self.version = script
        self.epochs, self.megabytes = [], []

    def round(self):
        output, _, megabytes = run(self.command)
        result = json.loads(output.strip().splitlines()[-1])
        self.name, self.version = result["peer"], result["version"]
        self.epochs.append(min(result["epoch_us_per_sample"][1:]))
        self.megabytes.append(megabytes)
        return self.epochs[-1]

    def rounds(self):
        return self.epochs

    def best(self):
        return min(self.epochs)


def machine():
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    facts = dict(reversed([map(str.strip, line.split(":", 1)) for line in lines if ":" in line]))
    flags = facts.get("flags", "").split()
    isa = [name for flag, name in [("avx2", "AVX2"), ("fma", "FMA"), ("avx512f", "AVX-512")] if flag in flags]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (f"{facts.get('model name', platform.processor() or platform.machine())} (family {facts.get('cpu family', '?')}, "
            f"model {facts.get('model', '?')}), {os.cpu_count()} cores, {', '.join(isa) or platform.machine()}, "
            f"{memory:.0f} GiB, {platform.system()} {platform.release()}")


def text(given, measured):
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    # Markdown written by this script does not make a commit a different one.
    changed = subprocess.run(["git", "-C", ROOT, "status", "--porcelain", "--untracked-files=no", "--", "crates", "Cargo.lock", "Cargo.toml"],
                             capture_output=True, text=True).stdout.strip()
    ours = next((m for m in measured if isinstance(m, Danlu)), None)
    rows = []
    for m in measured:
        ratio = f"{m.best() / ours.best():.2f}" if ours else "-"
        ratio_median = f"{statistics.median(m.rounds()) / statistics.median(ours.rounds()):.2f}" if ours else "-"
        rows.append(f"| {m.name} | {m.best():.1f} | {statistics.median(m.rounds()):.1f} | {min(m.rounds()):.1f} - {max(m.rounds()):.1f} "
                    f"| {ratio} | {ratio_median} | {max(m.megabytes):.0f} |")
    lines = [
        "# Results",
        "",
        "Written by `bench/run`; do not edit.",
        "",
        f"- Date: {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}",
        f"- Commit: {commit or 'none'}{' with changes' if changed else ''}",
        f"- Machine: {machine()}",
        f"- Versions: {'; '.join(m.version for m in measured)}; Python {platform.python_version()}",
        f"- Command: `bench/run --rounds {given.rounds} --threads {given.threads} --batch-size {given.batch_size} "
        f"--peer-epochs {given.peer_epochs} --only {given.only}`",
        "",
        "## Training the article's model on MNIST",
        "",
        "Conv2D 32 3x3 ReLU, max-pooling 2x2, Flatten, Dense 128 ReLU, Dense 10; Adam, f32, data in memory, shuffled, with loss and accuracy.",
        f"Microseconds per sample on {given.threads} threads, batch {given.batch_size}; {given.rounds} rounds, alternating.",
        "",
        "| program | best | median | spread | best / Danlu's | median / Danlu's | peak MB of the process |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"Danlu is timed from outside: (best command of {LONG} epochs - best command of {SHORT}) / {(LONG - SHORT) * EXAMPLES:,}; its median and spread are "
        "of the rounds' own differences. Peers: the best epoch of a round after its first, measured inside the process.",
    ]
    if ours:
        lines += ["", f"By `samples_per_second` of its own output, Danlu took {min(ours.inside):.1f} (best), {statistics.median(ours.inside):.1f} (median)."]
    return "\n".join(lines) + "\n"


def main():
    given = options()
    data = find_data(given.data)
    makers = {
        "danlu": lambda: Danlu(given, data),
        "keras": lambda: Peer(given, data, "keras_mnist.py"),
        "torch": lambda: Peer(given, data, "torch_mnist.py"),
    }
    names = given.only.split(",")
    if unknown := [n for n in names if n not in makers]:
        sys.exit(f"bench/run: --only knows {', '.join(makers)}, not {', '.join(unknown)}")
    if given.rounds < 1 or given.peer_epochs < 2:
        sys.exit("bench/run: --rounds must be at least 1 and --peer-epochs at least 2")
    measured = [makers[n]() for n in names]
    for number in range(1, given.rounds + 1):
        for m in measured:
            print(f"round {number}/{given.rounds}  {m.name:<22} {m.round():8.1f} us/sample", file=sys.stderr, flush=True)
    given.output.write_text(text(given, measured))
    print(given.output.read_text())


main()
