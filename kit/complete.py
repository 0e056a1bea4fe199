"""Tab completion of flows, runs, steps, artifacts and options, in JupyterLab and in the terminal.

Nothing here waits for a datastore for longer than a Tab may take (see kit.late).
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from kit import offers, words
from kit.late import Answers
from kit.offers import Find, Offer
from kit.previews import cut
from kit.runwords import AFTER

if TYPE_CHECKING:
    from kit.session import Session

__all__ = ["matcher"]

MAGIC_LINE = re.compile(r"(?:^\s*%{0,2}|=\s*%{1,2})(mf_\w+)\s+(.*)$")
VARIABLE = re.compile(r"\{(\w+)\}|\$(\w+)")
BEGUN_VARIABLE = re.compile(r"\{(\w*)$")
MAX_OFFERS = 100  # more are not read; a letter more finds the others
MAX_LABEL = 30  # characters
STEP_OPTIONS = ("to", "step", "resume")
PATHSPEC_OPTIONS = ("diff", "flow")

Ask = Callable[[Mapping[Hashable, Find]], list[Offer]]


def matcher(magics: Callable[[], Any]) -> Callable[[CompletionContext], SimpleMatcherResult]:
    """Make the matcher that IPython's completer asks.

    Args:
        magics: Gives kit's magics, whose parsers know their options; called at the first Tab in a line of kit's.
    """
    answers = Answers()

    @context_matcher()
    def kit_matcher(context: CompletionContext) -> SimpleMatcherResult:
        found = MAGIC_LINE.search(context.text_until_cursor)
        magic = getattr(magics(), found[1], None) if found else None
        if not found or magic is None:
            return _answer([], "", own=False)
        before, word = words.begun(found[2])
        line = _Line(magics(), magic, before, word)
        line.prepare()
        started = time.monotonic()
        wanted = line.offers(lambda questions: list(chain.from_iterable(answers.ask(questions, started))))
        fitting = [offer for offer in wanted if offer.text.startswith(word) and offer.text != word]
        return _answer(fitting[:MAX_OFFERS], word, own=not line.is_of_others)

    answer: Callable[[CompletionContext], SimpleMatcherResult] = kit_matcher
    return answer


class _Offered(list[SimpleCompletion]):
    """Completions, or none: IPython silences its other matchers only for a list that says it is not empty."""

    def __len__(self) -> int:
        return max(1, super().__len__())


def _answer(offered: Sequence[Offer], word: str, own: bool) -> SimpleMatcherResult:
    """Answer the completer; on kit's own words its other matchers, which would offer Python names, are silenced."""
    completions = [SimpleCompletion(offer.text, type=_kept_together(offer.label)) for offer in offered]
    return SimpleMatcherResult(
        completions=_Offered(completions) if own else completions,
        matched_fragment=word,
        suppress=own,
        do_not_suppress=set(),
        ordered=True,
    )


def _kept_together(label: str) -> str:
    """Write a label so that JupyterLab, whose rows are one line high, does not break it."""
    return cut(label, MAX_LABEL).replace(" ", "\N{NO-BREAK SPACE}")


class _Line:
    """A line of a magic, up to the cursor.

    Args:
        magics: kit's magics.
        magic: The one of the line.
        before: The words before the cursor's.
        word: The beginning of the word at the cursor.
    """

    def __init__(self, magics: Any, magic: Any, before: Sequence[str], word: str) -> None:
        self._session: Session = magics.session
        self._variables: Mapping[str, Any] = magics.user_ns
        self._name, self._parser, self._word = magic.__name__, magic.parser, word
        self._named, given, self._option = _read(magic.parser, before)
        self._step = self._expanded(given.get("flow", "") if self._installs else "".join(self._named[:1]))

    @property
    def _installs(self) -> bool:
        return bool(self._name == "mf_install_deps")

    @property
    def _runs(self) -> bool:
        return bool(self._name == "mf_run")

    def _parameters(self) -> list[Offer]:
        """List the Parameters of the flow that is run, and Metaflow's own options."""
        flow = self._session.project.scan().flows.get(self._step) if self._runs else None
        if flow is None:
            return []
        return [*(Offer(f"--{n}", "Parameter") for n in flow.parameters), *(Offer(f"--{n}", "option") for n in AFTER)]

    def prepare(self) -> None:
        """Import Metaflow where runs are asked for: once in a kernel, a Tab takes as long as that."""
        if self._step or "/" in self._word or "[" in self._word:
            offers.prepare()

    @property
    def is_of_others(self) -> bool:
        """Whether the word is one that IPython completes: Python code (after `--set name=`), or the name of a file."""
        return (self._option == "overrides" and "=" in self._word) or self._option == "files"

    def offers(self, ask: Ask) -> list[Offer]:
        """List what the word may become.

        Args:
            ask: Asks questions that the datastore answers, and may answer with nothing yet.
        """
        option, word, session = self._option, self._word, self._session
        current = str(session.current)
        if option is None and word.startswith("-"):
            return [*_options(self._parser), *self._parameters()]
        if BEGUN_VARIABLE.search(word):
            return self._pathspecs_of_the_notebook()
        if option in PATHSPEC_OPTIONS or (option is None and not self._named and not self._installs):
            found = self._pathspecs(ask)
            return [each for each in found if each.label == "flow" or "/" in each.text] if self._runs else found
        step = self._step
        if not step:
            return []
        if option in STEP_OPTIONS:
            return ask({("steps", step, current): lambda: offers.steps(session, step)})
        if option == "foreach":
            return ask({("values", step, current): lambda: offers.values(session, step)})
        if option in ("overrides", "renamed") or (option is None and self._name == "mf_artifacts"):
            return self._placed(ask({("artifacts", step, current): lambda: offers.artifacts(session, step)}))
        return []

    def _placed(self, artifacts: Sequence[Offer]) -> list[Offer]:
        """Put artifacts where the line wants them: `--set NAME=`, `--as NEW=NAME`, or their names alone."""
        if self._option == "overrides":
            return [] if self.is_of_others else [Offer(f"{each.text}=", each.label) for each in artifacts]
        new, equals, _ = self._word.partition("=")
        if self._option == "renamed":
            return [Offer(f"{new}={each.text}", each.label) for each in artifacts] if equals else []
        return [each for each in artifacts if each.text not in self._named[1:]]

    def _pathspecs(self, ask: Ask) -> list[Offer]:
        """Complete a pathspec by its next part; what a variable holds is asked for, and the variable stays."""
        held, whole, session = _variables_of(self._word), self._expanded(self._word), self._session
        part = whole.partition("[")[0] + "[" if "[" in whole else whole.rpartition("/")[0] + "/" * ("/" in whole)
        found = ask(offers.pathspecs(session, part))
        length = len(self._expanded(held))
        return [Offer(held + each.text[length:], each.label) for each in found if each.text.startswith(whole)]

    def _pathspecs_of_the_notebook(self) -> list[Offer]:
        """List the variables that hold pathspecs."""
        held = ((name, value) for name, value in list(self._variables.items()) if isinstance(value, str))
        start = BEGUN_VARIABLE.sub("", self._word)
        flows = self._session.project.scan().flows
        fits = ((n, v) for n, v in held if not n.startswith("_") and v.partition("/")[0] in flows)
        return [Offer(f"{start}{{{name}}}", value) for name, value in fits]

    def _expanded(self, text: str) -> str:
        """Put in what variables hold, as IPython does: `{train_run}` and `$train_run`; expressions stay."""

        def held(match: re.Match[str]) -> str:
            value = self._variables.get(match[1] or match[2])
            return value if isinstance(value, str) else match[0]

        return VARIABLE.sub(held, text)


def _variables_of(word: str) -> str:
    """Give the beginning of a word, up to its last variable."""
    last = max((match.end() for match in VARIABLE.finditer(word)), default=0)
    return word[:last]


def _read(parser: Any, before: Sequence[str]) -> tuple[list[str], dict[str, str], str | None]:
    """Read the words before the cursor's.

    Returns:
        Those that are no options; the values of options, by `dest`; and the option whose value is at the cursor.
    """
    named: list[str] = []
    given: dict[str, str] = {}
    option: str | None = None
    for word in before:
        if option is not None:
            given[option], option = word, None
        elif word.startswith("-") and len(word) > 1:
            action = parser._option_string_actions.get(word)
            option = action.dest if action is not None and action.nargs != 0 else None
        else:
            named.append(word)
    return named, given, option


def _options(parser: Any) -> list[Offer]:
    actions: list[argparse.Action] = parser._actions
    return [Offer(option, str(action.metavar or "option")) for action in actions for option in action.option_strings]
