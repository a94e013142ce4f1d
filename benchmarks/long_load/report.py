"""Lines while a long load runs, and the tables at its end."""

from __future__ import annotations

import argparse
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from long_load.processes import Look, Processes
from long_load.questions import MIX, PREDICTIONS
from long_load.scene import Scene

LINE_SECONDS = 30.0

MOST_GROWTH = 0.05

MOST_FAULTS = 20


def line(scene: Scene, processes: Processes, now: float, temporary: Path) -> str:
    done = list(scene.outcomes)
    statuses = " ".join(f"{status}:{count}" for status, count in sorted(Counter(o.status for o in done).items()))
    recent = [outcome.seconds for outcome in done[-int(LINE_SECONDS * scene.rate) :] if outcome.kind in PREDICTIONS]
    looks = {name: taken[-1] for name, taken in processes.looks.items()}
    shown = "  ".join(f"{name} {look.pss:.0f}M {look.files}f {look.threads}t" for name, look in looks.items())
    faults = sum(outcome.fault is not None for outcome in done)
    late = f" late {scene.late:.1f} s" if scene.late > 1 else ""
    return f"{now:5.0f}s  {statuses}  wrong {faults}  p95 {p95(recent):.3f}s{late}  {shown}  {left_behind(temporary)}"


def left_behind(temporary: Path) -> str:
    shared = [file for file in temporary.glob("genre-serve-*/**/*") if file.is_file()]
    cached = sum(file.is_file() for file in (temporary / "cache").rglob("*"))
    return f"uploads {sum(file.name.startswith('upload-') for file in shared)} shared {len(shared)} cache {cached}"


def p95(seconds: Sequence[float]) -> float:
    return statistics.quantiles(seconds, n=100, method="inclusive")[94] if len(seconds) > 1 else float("nan")


def report(scene: Scene, processes: Processes, given: argparse.Namespace) -> int:
    """Print what became of all; 1 where something is not as it should be."""
    print(f"\n{'asked':9} {'requests':>8} {'p50 s':>7} {'p95 s':>7} {'longest':>7}  statuses")
    for kind in [*MIX, "activate"]:
        own = [outcome for outcome in scene.outcomes if outcome.kind == kind]
        if own:
            seconds = [outcome.seconds for outcome in own]
            times = f"{statistics.median(seconds):7.3f} {p95(seconds):7.3f} {max(seconds):7.3f}"
            print(f"{kind:9} {len(own):8} {times}  {dict(sorted(Counter(o.status for o in own).items()))}")
    print(f"\n{'process':9} {'MiB then':>8} {'at end':>8} {'MiB/hour':>8} {'growth':>7}  files then, at end; threads")
    grown = []
    for name, looks in processes.looks.items():
        counted = [look for look in looks if look.seconds >= given.settle * 60]
        if len(counted) > 2:
            growth = row(name, counted)
            grown += [name] if growth > MOST_GROWTH else []
    faults = Counter(f"{o.kind}: {o.fault}" for o in scene.outcomes if o.fault)
    for fault, count in faults.most_common(MOST_FAULTS):
        print(f"wrong: {count} × {fault}")
    broken = sum(outcome.status >= 500 for outcome in scene.outcomes)
    told = [f"{sum(faults.values())} wrong answers", f"{broken} of 5xx", f"grown: {', '.join(grown) or 'none'}"]
    print("; ".join([*told, f"started again: {', '.join(processes.restarted) or 'none'}"]))
    return int(bool(faults or broken or grown or processes.restarted))


def row(name: str, looks: Sequence[Look]) -> float:
    """Print how a process was since the load settled, by a straight line through its memory; its growth as a share."""
    slope, start = statistics.linear_regression(
        [look.seconds - looks[0].seconds for look in looks], [look.anonymous for look in looks]
    )
    end = start + slope * (looks[-1].seconds - looks[0].seconds)
    others = f"{looks[0].files}, {looks[-1].files}; {looks[0].threads}, {looks[-1].threads}"
    print(f"{name:9} {start:8.1f} {end:8.1f} {slope * 3600:8.1f} {end / start - 1:7.1%}  {others}")
    return end / start - 1
