"""What is told of each fault, and of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fault_injection.load import SLACK_SECONDS
from fault_injection.outcomes import SILENT, Part


def tell(part: Part) -> None:
    """A part as soon as it is over."""
    by_route: dict[str, Counter[str]] = {}
    for outcome in part.outcomes:
        by_route.setdefault(outcome.route, Counter())[outcome.status] += 1
    routes = "; ".join(f"{route} {counted(statuses)}" for route, statuses in sorted(by_route.items()))
    print(f"{part.name:9} {routes}", flush=True)
    for finding in part.findings:
        print(f"          ! {finding}", flush=True)


def counted(statuses: Counter[str]) -> str:
    return ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))


def report(parts: Sequence[Part], deadline: float) -> int:
    """The table, and below it what is not as it should be; 1 where there is any."""
    head = ("fault", "requests", "longest s", "back s", "processes left", "files left", "statuses")
    print(f"\n{head[0]:9} {head[1]:>8} {head[2]:>9} {head[3]:>7} {head[4]:>14} {head[5]:>10}  {head[6]}")
    for part in parts:
        back = f"{part.recovered:7.1f}" if part.recovered is not None else f"{'–':>7}"
        numbers = f"{len(part.outcomes):8} {part.longest:9.1f} {back} {len(part.processes):14} {len(part.files):10}"
        print(f"{part.name:9} {numbers}  {counted(Counter(o.status for o in part.outcomes))}")
    print(f"The deadline is {deadline:g} s.")
    findings = [f"{part.name}: {sentence}" for part in parts for sentence in found(part, deadline)]
    for finding in findings:
        print(f"! {finding}")
    return int(bool(findings))


def found(part: Part, deadline: float) -> list[str]:
    """All that a part was not to do."""
    late = [o for o in part.outcomes if o.seconds > deadline + SLACK_SECONDS or o.status == SILENT]
    return [
        *part.findings,
        *([f"{len(late)} requests were answered after the deadline, or never"] if late else []),
        *(f"left running: {process}" for process in part.processes),
        *(f"left lying: {file}" for file in part.files),
    ]
