"""The words that `%mf_run` passes on: which of them go before `run` on Metaflow's command line, and which after it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from kit.errors import ArgumentError, did_you_mean

__all__ = ["AFTER", "Passed", "own_words", "passed_words"]

# Metaflow's options and how many words follow each: before `run`, and after it.
BEFORE = {"config": 2, "config-value": 2, "datastore": 1, "datastore-root": 1, "event-logger": 1, "metadata": 1}
BEFORE |= {"monitor": 1, "package-suffixes": 1}
AFTER = {"max-log-size": 1, "max-num-splits": 1, "max-workers": 1, "namespace": 1}


@dataclass(frozen=True)
class Passed:
    """Words for Metaflow's command line.

    Args:
        before: Those that go before `run`.
        after: Those that go after it.
    """

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass
class _Sorted:
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


def own_words(words: Sequence[str], own: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """Part a magic's own words from those that are Metaflow's or the flow's.

    Args:
        words: The words of the line.
        own: The magic's own options with their dashes, and how many words follow each: 0, 1, or -1 for perhaps one.

    Returns:
        The magic's own words, the flow's name among them; and all others. What follows `--` is never the magic's own.
    """
    mine: list[str] = []
    others: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, _ = word.partition("=")
        if word == "--":
            others += rest
            break
        if name in own:
            mine.append(word)
            follows = own[name] == 1 or (own[name] == -1 and rest and not rest[0].startswith("-"))
            if follows and not equals and rest:
                mine.append(rest.pop(0))
        elif word.startswith("--"):
            others.append(word)
            number = 0 if equals else BEFORE.get(name[2:], 1)
            while number and rest and not rest[0].startswith("--"):
                others.append(rest.pop(0))
                number -= 1
        else:
            mine.append(word)
    return mine, others


def passed_words(
    flow: str, words: Sequence[str], parameters: Collection[str], decorators: Mapping[str, bool]
) -> Passed:
    """Sort words to the two places that Metaflow's command line has for them.

    Args:
        flow: The name of the flow.
        words: Options and their values.
        parameters: The names of the flow's Parameters.
        decorators: The options of the flow's decorators, such as @project's `branch`, and whether each is a flag.

    Raises:
        ArgumentError: Neither Metaflow nor the flow has such an option.
    """
    found, place = _Sorted(), None
    for word in words:
        if not word.startswith("--") or word == "--":
            if place is None:
                raise ArgumentError(f"{word!r} belongs to no option.", "Write Parameters as --name value.")
            place.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        dashed, underscored = name.replace("_", "-"), name.replace("-", "_")
        if name in parameters or underscored in parameters:
            place, name = found.after, name if name in parameters else underscored
        elif dashed in AFTER:
            place, name = found.after, dashed
        elif dashed in BEFORE or dashed.removeprefix("no-") in decorators or dashed in decorators:
            place, name = found.before, dashed
        else:
            known = [*parameters, *AFTER, *BEFORE, *decorators]
            raise ArgumentError(
                f"{flow} has no Parameter {name}, and %mf_run no such option.",
                did_you_mean(name, known, f"Parameters of {flow} and options of Metaflow"),
            )
        place += [f"--{name}", *([_unquoted(value)] if equals else [])]
    return Passed(tuple(found.before), tuple(found.after))


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) >= 2 and value[0] in "'\"" and value[-1] == value[0] else value
