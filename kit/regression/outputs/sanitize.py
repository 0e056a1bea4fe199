"""Takes out of a text what differs from run to run and is no result: addresses, paths, times, durations, run ids."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta, timezone

from kit.regression.outputs.rules import Rules

__all__ = ["injected", "sanitize", "terminal"]

ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[a-zA-Z]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
NEAR = timedelta(days=2)  # a moment this near to now is the run's own, any other is data
UNITS = r"(?:ns|[µμu]s|ms|s|secs?|seconds?|mins?|minutes?|h|hrs?|hours?)"
NUMBER = r"\d+(?:[.,]\d+)*"
MOMENT = re.compile(
    r"\b(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::\d\d(?:[.,]\d+)?)?(?:Z| ?[+-]\d\d:?\d\d)?)?(?![\w-])"
)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
CLOCK = r"(?:,? (?:at )?\d?\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?[AP]M)?)?(?!\w)"
# Other ways to write a date: each gives its numbers and the name of the month in some order.
WRITTEN = tuple(
    re.compile(rf"(?<![\w./]){pattern}", re.IGNORECASE)
    for pattern in (
        rf"(\d{{1,2}})([./])(\d{{1,2}})\2(\d{{4}}){CLOCK}",
        rf"({'|'.join(MONTHS)})[a-z]* (\d{{1,2}}),? (\d{{4}}){CLOCK}",
        rf"(\d{{1,2}})\.? ({'|'.join(MONTHS)})[a-z]*\.?,? (\d{{4}}){CLOCK}",
        r"(20\d\d)(\d\d)(\d\d)[-_T]?\d{6}(?!\d)",
    )
)
EPOCH = re.compile(r"(?<![\w.])[1-9]\d{9}(?:\d{3})?(?:\.\d+)?(?![\w.])")  # seconds or milliseconds since 1970

# The order matters: what is found first is gone for those below.
BUILT_IN: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"0x[0-9a-fA-F]{6,}|(?<=\bat )0[xX][0-9a-fA-F]{3,}"), "<address>"),
    (re.compile(r"(?:/[^\s:]*)?/ipykernel_\d+/\d+\.py|<ipython-input-\d+-\w+>"), "<cell>"),
    (re.compile(r"\[\d[\d:]*<(?:[\d:]+|\?), *[^\]]*\]"), "[<duration>]"),  # the rest of a tqdm bar is a result
    (re.compile(r"\b(localhost|127\.0\.0\.1|0\.0\.0\.0):\d{4,5}\b"), r"\1:<port>"),
    (re.compile(r"\b(pid[ =:]{1,2})\d+\b", re.IGNORECASE), r"\1<pid>"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<uuid>"),
    (re.compile(r"\b(?:np|numpy)\.(True|False)_(?!\w)"), r"\1"),
    (re.compile(r"\b(?:np|numpy)\.(?:float|int|uint|str|bool|complex|longdouble)\w*\(([^()]*)\)"), r"\1"),
    (re.compile(r"\b\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d (?:\w+ )?\d{4}\b"), "<time>"),
    (re.compile(r"\b(?:just now|\d+ (?:s|min|h|seconds?|minutes?|hours?|days?) ago|yesterday)(?: by \S+)?"), "<ago>"),
    (re.compile(r"(?<![\w.:])\d?\d:\d\d:\d\d(?:[.,]\d+)?(?![\w:])"), "<time>"),
    (re.compile(rf"(?<![\w.,])(?:{NUMBER} ?{UNITS}\b(?: ± | ?[,:]? ?)?)+(?<=\w)"), "<duration>"),
    (re.compile(r"\bipykernel_\d+\b"), "ipykernel_<pid>"),
    (re.compile(r"(?<![\w.<])(?:/private)?/(?:tmp|var/tmp|var/folders)(?:/[^\s'\"<>:,;)\]}]*)?"), "<tmp>"),
    (re.compile(r"[A-Za-z]:\\(?:[^\s\\'\"]+\\)*Temp\\[^\s'\"]*"), "<tmp>"),
    (re.compile(r"(?<![\w./:<>])/(?:[\w.+@-]+/){2,}"), "<path>/"),
    (re.compile(r"(?<![\w.])[12]\d{15}(?![\w.])"), "<run>"),  # the id of a local run: microseconds since 1970
    (re.compile(r"\b([A-Za-z_]\w*/<run>/\w+)/\d+\b"), r"\1/<task>"),
)


def terminal(text: str) -> str:
    """Give a text as a terminal leaves it: without colours, and a line that was written over as it ended."""
    lines = ANSI.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(_written_over(line) for line in lines)


def _written_over(line: str) -> str:
    parts = [part for part in line.split("\r") if part]
    return parts[-1] if parts else ""


def injected(parameters: Iterable[object]) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Give the sanitizers that take out the pathspecs that were injected into a notebook, whatever their run ids are.

    Args:
        parameters: The values of the injected parameters.
    """
    found = []
    for value in parameters:
        match = re.fullmatch(r"([A-Za-z_]\w*)/([\w-]+)((?:/\w+)*)", value) if isinstance(value, str) else None
        if match:
            flow, run, _ = match.groups()
            found.append((re.compile(rf"\b{re.escape(flow)}/{re.escape(run)}(?![\w-])"), f"{flow}/<run>"))
    return tuple(found)


def sanitize(text: str, rules: Rules, first: Sequence[tuple[re.Pattern[str], str]] = ()) -> str:
    """Take out what differs from run to run.

    Args:
        text: Any text.
        rules: Whose own sanitizers go before those that kit has.
        first: Sanitizers that go before all others: those of the injected pathspecs.
    """
    text = terminal(text)
    for pattern, replacement in (*first, *rules.sanitizers):
        text = pattern.sub(replacement, text)
    text = EPOCH.sub(_epoch, MOMENT.sub(_moment, text))
    for each in WRITTEN:
        text = each.sub(_written, text)
    for pattern, replacement in BUILT_IN:
        text = pattern.sub(replacement, text)
    return text


def _moment(match: re.Match[str]) -> str:
    """Take out a date that is about today's; any other is data, and stays."""
    year, month, day, hour, _ = match.groups()
    try:
        then = date(int(year), int(month), int(day))
    except ValueError:
        return match[0]
    if abs(datetime.now(timezone.utc).date() - then) > NEAR:
        return match[0]
    return "<date>" if hour is None else "<time>"


def _written(match: re.Match[str]) -> str:
    """Take out a date that is about today's, in whichever order its day, month and year are."""
    parts = [
        MONTHS.index(part.lower()[:3]) + 1 if part.isalpha() else part for part in match.groups() if part not in "./"
    ]
    one, two, three = map(int, parts)
    today = datetime.now(timezone.utc).date()
    for year, month, day in ((three, two, one), (three, one, two), (one, two, three)):
        try:
            near = abs(today - date(year, month, day)) <= NEAR
        except ValueError:
            continue
        if near:
            return "<time>"
    return match[0]


def _epoch(match: re.Match[str]) -> str:
    """Take out a number of seconds or milliseconds since 1970 that is about now."""
    seconds = float(match[0]) / (1000 if len(match[0].partition(".")[0]) == 13 else 1)
    return "<time>" if abs(datetime.now(timezone.utc).timestamp() - seconds) < NEAR.total_seconds() else match[0]
