"""Tab completion of flows, runs, steps, artifacts and options, in JupyterLab and in the terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from kit.errors import KitError

if TYPE_CHECKING:
    from kit.session import Session

__all__ = ["matcher"]

MAGIC_LINE = re.compile(r"(?:^|=)\s*%{1,2}(mf_\w+)\s+(.*)$")
MAX_RUNS = 20


def matcher(magics: Callable[[], Any]) -> Callable[[CompletionContext], SimpleMatcherResult]:
    """Make the matcher that IPython's completer asks.

    Args:
        magics: Gives kit's magics, whose parsers know their options; called at the first Tab in a line of kit's.
    """

    @context_matcher()
    def kit_matcher(context: CompletionContext) -> SimpleMatcherResult:
        found = MAGIC_LINE.search(context.text_until_cursor)
        magic = getattr(magics(), found[1], None) if found else None
        if not found or magic is None:
            return _answer([], "", own=False)
        word = re.split(r"\s", found[2])[-1]
        before = found[2][: len(found[2]) - len(word)].split()
        try:
            texts = list(_candidates(magics().session, magic, before, word))
        except KitError:  # a run that is not there completes to nothing
            texts = []
        return _answer([text for text in texts if text.startswith(word)], word, own="=" not in word)

    answer: Callable[[CompletionContext], SimpleMatcherResult] = kit_matcher
    return answer


def _answer(texts: list[str], word: str, own: bool) -> SimpleMatcherResult:
    """Answer the completer; on kit's own words its other matchers, which would offer Python names, are silenced."""
    return SimpleMatcherResult(
        completions=[SimpleCompletion(text) for text in texts],
        matched_fragment=word,
        suppress=own,
        do_not_suppress=set(),
        ordered=True,
    )


def _candidates(session: Session, magic: Any, before: list[str], word: str) -> Iterable[str]:
    if word.startswith("-"):
        return [option for action in magic.parser._actions for option in action.option_strings]
    named = [part for part in before if not part.startswith("-")]
    if before[-1:] == ["--to"] and named:
        return _later_steps(session, named[0])
    if magic.__name__ == "mf_install_deps":
        return []
    if not named:
        return _pathspecs(session, word)
    return _artifact_names(session, named[0]) if magic.__name__ == "mf_artifacts" else []


def _pathspecs(session: Session, word: str) -> list[str]:
    """Complete a pathspec by its next part."""
    from kit.foreach import said
    from kit.resolve import resolve

    flows = session.project.scan().flows
    step, bracket, _ = word.partition("[")
    if bracket:
        target = resolve(session.runs, step, session.current)
        tasks = session.runs.tasks(target.run, target.step) if target.step else ()
        return list(dict.fromkeys(f"{step}[{said(task)}]" for task in tasks if task.values))
    head, slash, _ = word.rpartition("/")
    if not slash:
        current = flows.get(session.current.flow) if session.current else None
        return [*flows, *(current.steps if current else ())]
    parts = head.split("/")
    runs = session.runs
    steps = flows[parts[0]].steps if parts[0] in flows else ()
    if len(parts) == 1:
        return [f"{head}/{name}" for name in (*steps, *runs.ids(parts[0])[:MAX_RUNS])]
    target = resolve(runs, head, session.current)
    if target.step is None:
        return [f"{head}/{name}" for name in runs.step_names(target.run)]
    return [f"{head}/{task.pathspec.task}" for task in runs.tasks(target.run, target.step)]


def _later_steps(session: Session, pathspec: str) -> Iterable[str]:
    from kit.resolve import resolve

    return session.runs.step_names(resolve(session.runs, pathspec, session.current).run)


def _artifact_names(session: Session, pathspec: str) -> list[str]:
    from kit.resolve import resolve

    target = resolve(session.runs, pathspec, session.current)
    tasks = session.runs.tasks(target.run, target.step)
    return sorted({artifact.name for task in tasks for artifact in task.artifacts})
