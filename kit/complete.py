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
from kit.errors import KitError
from kit.late import Answers

if TYPE_CHECKING:
    from kit.offers import Offer

__all__ = ["matcher"]

MAGIC_LINE = re.compile(r"(?:^\s*%{0,2}|=\s*%{1,2})(mf_\w+)\s+(.*)$")
STEP_CELL = re.compile(r"\s*%%mf_step +(.*)")
ON_SELF = re.compile(r"\bself\.(\w*)$")
ASSIGNED = re.compile(r"\bself\.(\w+)\s*=(?!=)")
METAFLOWS = ("index", "input", "merge_artifacts", "foreach_stack")
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
        cell = STEP_CELL.match(context.full_text)
        on_self = ON_SELF.search(context.text_until_cursor)
        if cell and on_self and context.cursor_line > 0:
            offered = _on_self(magics(), cell[1], context.full_text)
            fitting = [offer for offer in offered if offer.text.startswith(on_self[1])]
            return _answer(fitting, on_self[1], own=bool(offered))
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


def _on_self(magics: Any, line: str, cell: str) -> list[Offer]:
    """List what the step of a cell finds on `self`; nothing where the steps before it have not run."""
    from kit.magic_line import MagicLine
    from kit.offers import Offer

    try:
        found = MagicLine(magics, magics.mf_step, words.begun(f"{line} ")[0], "").attributes_of_self()
    except KitError:  # the line, or the steps, are not in order yet
        return []
    own = [Offer(name, "artifact") for name in dict.fromkeys(ASSIGNED.findall(cell))]
    known = {offer.text for offer in found}
    return [*found, *(offer for offer in own if offer.text not in known), *map(Offer, METAFLOWS)] if found else []


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
