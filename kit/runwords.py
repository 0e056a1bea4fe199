"""The words that `%mf_run` passes on: which of them go before `run` on Metaflow's command line, and which after it."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

from kit.errors import ArgumentError, did_you_mean

__all__ = ["AFTER", "BEFORE", "FlowOptions", "Passed", "is_option", "own_words", "passed_words", "without_flow"]

# The options of %mf_run and how many words follow each; -1 is perhaps one. All others are the flow's or Metaflow's.
RUN_OPTIONS = {"--test": 0, "--background": 0, "--tag": 1, "--with": 1, "--environment": 1, "--resume": -1}
# Metaflow's options and how many words follow each: before `run`, and after it.
BEFORE = {"config": 2, "config-value": 2, "datastore": 1, "datastore-root": 1, "event-logger": 1, "metadata": 1}
BEFORE |= {"monitor": 1, "package-suffixes": 1}
AFTER = {"max-log-size": 1, "max-num-splits": 1, "max-workers": 1, "namespace": 1}
OPTION = re.compile(r"--[A-Za-z][\w-]*(=.*)?", re.DOTALL)
MANY_WORDS = re.compile(r"[\s{}\[\]=:]|^$")  # what a value of a Config has and a path has not


@dataclass(frozen=True)
class Passed:
    """Words for Metaflow's command line.

    Args:
        before: Those that go before `run`.
        after: Those that go after it.
        parameters: The names of the Parameters among these.
    """

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class FlowOptions:
    """What a flow adds to Metaflow's command line.

    Args:
        parameters: The names of its Parameters.
        configs: The names of its Configs.
        truths: Those of its Parameters that are true or false.
        files: Those that are paths: IncludeFile.
        decorators: The options of its decorators, such as @project's `branch`, and whether each is a flag.
    """

    parameters: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    truths: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    decorators: Mapping[str, bool] = field(default_factory=dict)

    def named(self, name: str) -> str | None:
        """Find a Parameter or a Config, whose name may be written with - for _ and with _ for -."""
        known = [*self.parameters, *self.configs]
        alike = (each for each in known if each.replace("-", "_") == name.replace("-", "_"))
        return name if name in known else next(alike, None)


@dataclass
class _Sorted:
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)


def own_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part the own words of `%mf_run` from those that are Metaflow's or the flow's.

    Args:
        words: The words of the line.

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
            others += map(_unquoted, rest)
            break
        if name in RUN_OPTIONS:
            mine.append(word)
            follows = RUN_OPTIONS[name] == 1 or (RUN_OPTIONS[name] == -1 and rest and not rest[0].startswith("-"))
            if follows and not equals and rest:
                mine.append(rest.pop(0))
        elif is_option(word):
            others.append(_unquoted(word))
            number = 0 if equals else BEFORE.get(name[2:], 1)
            while number and rest and not is_option(rest[0]):
                others.append(rest.pop(0))
                number -= 1
        else:
            mine.append(word)
    return mine, others


def without_flow(words: Sequence[str], flows: Container[str]) -> tuple[str | None, list[str]]:
    """Find the flow behind an option that is a flag, as in `--production TrainFlow`, which took it for its value.

    Args:
        words: Options and their values.
        flows: The names of the flows that there are.

    Returns:
        The flow, or Flow/run, and the other words; None where no option has a flow as its value.
    """
    found = [at for at, word in enumerate(words) if at and word.partition("/")[0] in flows and is_option(words[at - 1])]
    if not found:
        return None, list(words)
    return words[found[-1]], [*words[: found[-1]], *words[found[-1] + 1 :]]


def passed_words(flow: str, words: Sequence[str], options: FlowOptions) -> Passed:
    """Sort words to the two places that Metaflow's command line has for them.

    Args:
        flow: The name of the flow.
        words: Options and their values.
        options: What the flow adds to Metaflow's.

    Raises:
        ArgumentError: Neither Metaflow nor the flow has such an option.
    """
    found = _Sorted()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not is_option(word):
            raise ArgumentError(f"{word!r} belongs to no option.", "Write Parameters as --name value.")
        given, equals, value = word[2:].partition("=")
        values = [value] if equals else []
        while not equals and rest and not is_option(rest[0]):
            values.append(rest.pop(0))
        name, dashed = options.named(given), given.replace("_", "-")
        if name in options.configs and len(values) == 1:
            found.before += _config(str(name), values[0])
        elif name is not None:
            values = [_from_here(value) for value in values] if name in options.files else values
            values = values or ["True"] * (name in options.truths)
            found.after += _written(name, values)
            found.parameters.append(name)
        elif dashed in AFTER:
            found.after += _written(dashed, values)
        elif dashed == "config" and len(values) == 2:
            found.before += ["--config", values[0], _from_here(values[1])]
        elif dashed in BEFORE or dashed.removeprefix("no-") in options.decorators or dashed in options.decorators:
            found.before += [f"--{dashed}", *values]
        else:
            known = [*options.parameters, *options.configs, *AFTER, *BEFORE, *options.decorators]
            raise ArgumentError(
                f"{flow} has no Parameter {given}, and %mf_run no such option.",
                did_you_mean(given, known, f"Parameters of {flow} and options of Metaflow"),
            )
    return Passed(tuple(found.before), tuple(found.after), tuple(found.parameters))


def is_option(word: str) -> bool:
    """Whether a word is an option rather than the value of one, which may begin with dashes too."""
    return OPTION.fullmatch(word) is not None


def _written(name: str, values: Sequence[str]) -> list[str]:
    """Write an option with its values; one value in the same word, so that it may look like an option itself."""
    return [f"--{name}={values[0]}"] if len(values) == 1 else [f"--{name}", *values]


def _config(name: str, value: str) -> list[str]:
    """Write the value of a Config: a value, or the path of a file."""
    path = _from_here(value)
    if os.path.exists(path) or not MANY_WORDS.search(value):
        return ["--config", name, path]
    return ["--config-value", name, value]


def _from_here(path: str) -> str:
    """Write a path that is meant from the working directory so that it is found from the project's root, too."""
    return os.path.abspath(path) if os.path.exists(path) else path


def _unquoted(word: str) -> str:
    """Take the quotes off the value in `--name="some value"`."""
    name, equals, value = word.partition("=")
    quoted = len(value) >= 2 and value[0] in "'\"" and value[-1] == value[0]
    return f"{name}{equals}{value[1:-1]}" if quoted else word
