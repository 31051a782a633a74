"""Danlu and its peers in one run, alternating; writes RESULTS.md and results.json. Started by bench/run."""

import argparse
import datetime
import os
import shlex
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path

import report
from programs import HERE, Failed, run
from rows import ROWS
from verdicts import verdicts


def options():
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", type=Path, help="folder with MNIST's IDX files (default: $DANLU_DATA/mnist, then the user's cache)")
    parser.add_argument("--only", metavar="ROW[:PROGRAM],...", help=f"rows: {', '.join(row.name for row in ROWS)}; programs: danlu, keras, torch, ...")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--python", metavar="PATH", help="an interpreter that has the peers, instead of bench/.venv (or BENCH_PYTHON)")
    parser.add_argument("--danlu", type=Path, help="a binary, instead of building one")
    parser.add_argument("--output", type=Path, help="folder for RESULTS.md and results.json (default: bench; of a part or a smoke test bench/partial)")
    parser.add_argument("--smoke", action="store_true", help="one short round, to see whether everything runs; its figures mean nothing")
    given = parser.parse_args()
    given.command = shlex.join(["bench/run", *sys.argv[1:]])
    given.built = not given.danlu
    given.danlu = given.danlu or HERE.parent / "target/release/danlu"
    given.output = given.output or (HERE / "partial" if given.smoke or given.only else HERE)
    given.epochs = (1, 2) if given.smoke else (2, 6)
    given.examples = 6_400 if given.smoke else 60_000
    given.rounds = 1 if given.smoke else given.rounds
    given.peaks = []
    if given.rounds < 1 or given.threads < 1:
        parser.error("--rounds and --threads must be at least 1")
    return given


def chosen(only):
    """The jobs to make, {row: [program]}."""
    everything = {row.name: list(row.jobs) for row in ROWS}
    if not only:
        return everything
    picked = {"peak": everything["peak"]}  # the limit is told with every row
    for word in only.split(","):
        row, _, program = word.partition(":")
        if row not in everything or program and program not in everything[row]:
            known = ", ".join(f"{name} ({' '.join(programs)})" for name, programs in everything.items())
            sys.exit(f"bench/run: --only does not know `{word}`; rows and programs: {known}")
        picked[row] = [p for p in everything[row] if p in picked.get(row, []) or p == program or not program]
    return {name: picked[name] for name in everything if name in picked}


def find_data(given):
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    places = [given] if given else [Path(os.environ[v]) / "mnist" for v in ["DANLU_DATA"] if v in os.environ] + [cache / "danlu/mnist"]
    for place in places:
        if any((place / f"train-images-idx3-ubyte{end}").exists() for end in ("", ".gz")):
            return place.resolve()
    sys.exit(f"bench/run: no MNIST in {', '.join(map(str, places))}; README.md says which four files to put where")


@dataclass
class Series:
    """The rounds' numbers of one program."""

    name: str
    unit: str
    more_is_better: bool
    values: list = field(default_factory=list)
    outside: float | None = None  # a best that is not that of the values

    @property
    def best(self):
        return self.outside if self.outside is not None else (max if self.more_is_better else min)(self.values)

    @property
    def median(self):
        return statistics.median(self.values)


def say(text):
    print(text, file=sys.stderr, flush=True)


def measure(given, rows, jobs):
    """After each round: its number, the series by (row, key, program), and why something is missing."""
    series, failures = {}, {}
    for number in range(1, given.rounds + 1):
        for row in rows:
            for program, job in jobs[row.name].items():
                name = f"{row.name}:{program}"
                if name in failures:
                    continue
                try:
                    values = job.measure()
                    if missing := [key for key in row.keys if key not in values]:
                        raise Failed(f"it gave {', '.join(values)}, but not {', '.join(missing)}")
                except (Failed, KeyError, ValueError) as failure:
                    failures[name] = f"round {number}: {failure if isinstance(failure, Failed) else repr(failure)}"
                    say(f"\n!!! NOT MEASURED: {name}, {failures[name]}\n")
                    continue
                for key in row.keys:
                    one = series.setdefault((row.name, key, program), Series(job.name, row.unit, row.more_is_better))
                    one.values.append(values[key])
                    one.outside = job.best(key)
                shown = "  ".join(f"{values[key]:.2f}{' ' + key if key else ''}" for key in row.keys)
                say(f"round {number}/{given.rounds}  {row.name:<14} {job.name:<22} {shown} {row.unit}")
        yield number, series, failures


def main():
    given = options()
    picked = chosen(given.only)
    given.data = find_data(given.data)
    try:
        ours = run([given.danlu, "--version"])[0].strip()
    except Failed as failure:
        sys.exit(f"bench/run: {failure}")
    begin = {"time": datetime.datetime.now(datetime.timezone.utc), "load": os.getloadavg()[0], "ticks": report.ticks()}
    if begin["load"] > 0.5:
        say(f"bench/run: the load average is {begin['load']:.1f}: something else is running, and the figures will show it")
    rows = [row for row in ROWS if row.name in picked]
    jobs = {row.name: {program: row.jobs[program](given) for program in picked[row.name]} for row in rows}
    given.output.mkdir(parents=True, exist_ok=True)
    # Written after each round: an hour's work is not lost with its last minute.
    for given.done, series, failures in measure(given, rows, jobs):
        gflops = [peak["gflops"] for peak in given.peaks]
        peak = (max(gflops), statistics.median(gflops)) if gflops else None
        versions = [ours, *sorted({job.version for all_of in jobs.values() for job in all_of.values() if job.version})]
        about, judged = report.facts(given, versions, begin), verdicts(series, peak)
        (given.output / "RESULTS.md").write_text(report.markdown(given, about, rows, jobs, series, judged, peak, failures))
        (given.output / "results.json").write_text(report.document(about, jobs, series, judged, given.peaks, failures))
    print((given.output / "RESULTS.md").read_text())
    if failures:
        say("".join(f"!!! NOT MEASURED: {name}, {why}\n" for name, why in failures.items()))
        sys.exit(1)


main()
