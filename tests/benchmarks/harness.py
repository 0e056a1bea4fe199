"""Timing two sides in one go, and saying what came out as a table or as JSON."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """Repeated timings of one thing, in milliseconds."""

    name: str
    milliseconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.milliseconds)


@dataclass(frozen=True)
class Result:
    """What one benchmark found.

    Args:
        name: What was measured.
        samples: kit's timings first, then the peer's.
        facts: Other figures, by what they are.
    """

    name: str
    samples: tuple[Sample, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def ratio(self) -> float | None:
        """How often kit fits into its peer, by the medians."""
        return self.samples[1].median / self.samples[0].median if len(self.samples) > 1 else None


def timed(action: Callable[[], object]) -> float:
    """Call once; gives the milliseconds that it took."""
    started = time.perf_counter_ns()
    action()
    return (time.perf_counter_ns() - started) / 1e6


def interleaved(sides: dict[str, tuple[Callable[[], object], int]], rounds: int) -> tuple[Sample, ...]:
    """Time several things in turns, so that a noisy moment hits all of them.

    Args:
        sides: What to call, by name, and how often in each round.
        rounds: How many rounds.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, (action, often) in sides.items():
            times[name] += [timed(action) for _ in range(often)]
    return tuple(Sample(name, tuple(taken)) for name, taken in times.items())


def say(*words: object) -> None:
    """Write a line to the terminal at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def show(result: Result) -> None:
    """Write a result as a table."""
    say(f"\n{result.name}")
    for sample in result.samples:
        times = sample.milliseconds
        figures = f"{min(times):10.2f} {sample.median:10.2f} {max(times):10.2f}"
        say(f"  {sample.name:52}{figures}   min, median, max of {len(times)}, ms")
    if result.ratio is not None:
        first, second, *_ = result.samples
        say(f"  {second.name} / {first.name}: {result.ratio:.2f}")
    for name, value in result.facts:
        say(f"  {name}: {value}")


def write_json(results: Sequence[Result], file: Path) -> None:
    """Write all results, with the ratio of each."""
    rows = [{**asdict(result), "ratio": result.ratio} for result in results]
    file.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
