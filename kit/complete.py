"""Tab completion of flows, runs, steps, artifacts and options, in JupyterLab and in the terminal.

Nothing here waits for a datastore for longer than a Tab may take (see kit.late).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from kit import words
from kit.late import Answers

if TYPE_CHECKING:
    from kit.offers import Offer

__all__ = ["matcher"]

MAGIC_LINE = re.compile(r"(?:^\s*%{0,2}|=\s*%{1,2})(mf_\w+)\s+(.*)$")
MAX_OFFERS = 100  # more are not read; a letter more finds the others
MAX_LABEL = 30  # characters


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
        from kit.magic_line import MagicLine  # the first Tab in a line of kit's brings it

        before, word = words.begun(found[2])
        line = MagicLine(magics(), magic, before, word)
        line.prepare()
        started = time.monotonic()
        wanted = line.offers(lambda questions: list(chain.from_iterable(answers.ask(questions, started))))
        fitting = [offer for offer in wanted if offer.text.startswith(word)]
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
    short = label if len(label) <= MAX_LABEL else f"{label[: MAX_LABEL - 1]}…"
    return short.replace(" ", "\N{NO-BREAK SPACE}")
