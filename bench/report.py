"""RESULTS.md and results.json."""

import datetime
import json
import os
import platform
import statistics
import subprocess
from importlib import metadata
from pathlib import Path

from verdicts import ARTICLE_MFLOP

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def machine():
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    facts = dict(reversed([map(str.strip, line.split(":", 1)) for line in lines if ":" in line]))
    flags = facts.get("flags", "").split()
    isa = [name for flag, name in [("avx2", "AVX2"), ("fma", "FMA"), ("avx512f", "AVX-512")] if flag in flags]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (f"{facts.get('model name', platform.processor() or platform.machine())} (family {facts.get('cpu family', '?')}, "
            f"model {facts.get('model', '?')}), {os.cpu_count()} cores, {', '.join(isa) or platform.machine()}, "
            f"{memory:.0f} GiB, {platform.system()} {platform.release()}")  # fmt: skip


def ticks():
    """Those of /proc/stat: (all, stolen by the hypervisor)."""
    stat = Path("/proc/stat")
    numbers = list(map(int, stat.read_text().splitlines()[0].split()[1:9])) if stat.exists() else [0] * 8
    return sum(numbers), numbers[7]


def git(*arguments):
    return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True).stdout.strip()


def other_versions():
    """Installed versions that are not those of requirements.txt."""
    lines = (HERE / "requirements.txt").read_text().splitlines()
    for name, pinned in (line.split("==") for line in lines if "==" in line):
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = "none"
        if found != pinned:
            yield f"{name} {found} was measured, requirements.txt has {pinned}"


def facts(given, versions, begin):
    total, stolen = (b - a for a, b in zip(begin["ticks"], ticks()))
    # Text does not make a commit a different one.
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "crates", "recipes", "bench/recipes", "Cargo.lock", "Cargo.toml")
    return {
        "date": f"{begin['time']:%Y-%m-%d %H:%M} UTC",
        "minutes": round((datetime.datetime.now(datetime.timezone.utc) - begin["time"]).total_seconds() / 60),
        "commit": (git("rev-parse", "--short", "HEAD") or "none") + (" with changes" if changed else "") + ("" if given.built else "; the binary is another"),
        "command": given.command,
        "machine": machine(),
        "versions": [*versions, f"Python {platform.python_version()}"],
        "differs": list(other_versions()),
        "load_before": begin["load"],
        "stolen_share": stolen / total if total else None,
    }


def number(value):
    return f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def table(row, key, series, jobs):
    ours = series.get((row.name, key, "danlu"))
    yield "| program | best | median | least - most | best / Danlu's | median / Danlu's | peak MB |"
    yield "|---|---|---|---|---|---|---|"
    for program, job in jobs.items():
        if s := series.get((row.name, key, program)):
            ratios = [f"{s.best / ours.best:.2f}", f"{s.median / ours.median:.2f}"] if ours else ["-", "-"]
            yield (f"| {job.name} | {number(s.best)} | {number(s.median)} | {number(min(s.values))} - {number(max(s.values))} "
                   f"| {ratios[0]} | {ratios[1]} | {job.megabytes:.0f} |")  # fmt: skip
        else:
            yield f"| {job.name} | **not measured** | | | | | |"


def markdown(given, about, rows, jobs, series, verdicts, peak, failures):
    peaks = given.peaks
    smoke = ["", "**A smoke test: these figures mean nothing.**"] if given.smoke else []
    lines = ["# Results", "", "Written by `bench/run`; do not edit.", *smoke, ""]
    lines += [
        f"- Date: {about['date']}, {about['minutes']} minutes; load average before it {about['load_before']:.2f}, "
        f"stolen by the hypervisor {100 * (about['stolen_share'] or 0):.1f} % of the time",
        f"- Commit: {about['commit']}",
        f"- Machine: {about['machine']}",
        f"- Versions: {'; '.join(about['versions'])}",
        f"- Command: `{about['command']}`",
        f"- {given.threads} threads unless said, f32, {given.done} round{'s' * (given.done > 1)}, the programs of a row alternating within each",
    ]
    lines += [f"- {difference}" for difference in about["differs"]]
    if failures:
        lines += ["", "## Not measured", "", *(f"- **{name}**: {why}" for name, why in failures.items())]
    lines += ["", "## Targets", "", "| what | of the bests | of the medians | target | met |", "|---|---|---|---|---|"]
    for v in verdicts:
        shown = [f"{v.bests:.2f}", f"{v.medians:.2f}"] if v.met is not None else ["-", "-"]
        lines.append(f"| {v.what} | {shown[0]} | {shown[1]} | {v.target} | {'not measured' if v.met is None else 'yes' if v.met else '**no**'} |")
    lines += ["", "`met` is judged by the bests. The promises about bits, memory and errors are kept by `cargo test`, not measured here."]
    if peak:
        lines += ["", f"## The machine's peak: {len(peaks)} measurements by `danlu bench`, spread over the run", "", "| | best | median | least - most |", "|---|---|---|---|"]
        for key, title in [("gflops", "multiply-adds in registers, GFLOP/s"), ("gigabytes_per_second", "streaming, GB/s")]:
            values = [one[key] for one in peaks]
            lines.append(f"| {title} | {max(values):.1f} | {statistics.median(values):.1f} | {min(values):.1f} - {max(values):.1f} |")
        lines += ["", f"Arithmetic limit: {ARTICLE_MFLOP} MFLOP a sample of the article's model over the peak measured in this run, "
                  f"{peak[0]:.1f} GFLOP/s (median {peak[1]:.1f}), is {ARTICLE_MFLOP * 1e3 / peak[0]:.1f} us (median {ARTICLE_MFLOP * 1e3 / peak[1]:.1f})."]  # fmt: skip
    for row in (row for row in rows if row.name != "peak"):
        lines += ["", f"## {row.title}", "", f"`--only {row.name}`; {row.unit}, {'more' if row.more_is_better else 'less'} is better."]
        for key, title in row.keys.items():
            lines += ["", *([f"**{title}**", ""] if title else []), *table(row, key, series, jobs[row.name])]
    short, long = given.epochs
    lines += [
        "", "## How", "",
        f"- Danlu's training is timed from outside: (best command of {long} epochs - best command of {short}) / the examples of {long - short} epochs; "
        "its median, least and most are of the rounds' own differences. Data in memory, shuffled, with loss and accuracy, Adam.",
        "- A peer's training: the best epoch of a round, measured inside its process after a warm-up. Burn: steps on random pictures, without shuffling and metrics.",
        "- Prediction, convolution: a round's number is its median call after warming up, on random inputs. PyTorch's convolution counts in the faster of "
        "both memory formats, ONNX Runtime in the faster way of calling it.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def document(about, jobs, series, verdicts, peaks, failures):
    """results.json."""
    measurements = [
        {"row": row, "key": key, "program": program, "name": s.name, "unit": s.unit, "best": s.best, "median": s.median, "values": s.values}
        for (row, key, program), s in series.items()
    ]
    extra = {f"{row}:{program}": job.extra for row, all_of in jobs.items() for program, job in all_of.items() if job.extra}
    return json.dumps(
        {**about, "measurements": measurements, "verdicts": [vars(v) for v in verdicts], "peaks": peaks, "details": extra, "not_measured": failures},
        indent=1,
    ) + "\n"  # fmt: skip
