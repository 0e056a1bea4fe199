"""What may follow in a line of one of kit's magics: which option stands before the cursor, and what that takes."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kit import offers
from kit.offers import Find, Offer
from kit.runwords import AFTER, BEFORE, own_words, without_flow

if TYPE_CHECKING:
    from kit.session import Session

__all__ = ["MagicLine"]

VARIABLE = re.compile(r"\{(\w+)\}|\$(\w+)")
BEGUN_VARIABLE = re.compile(r"\{(\w*)$")
STEP_OPTIONS = ("to", "step", "resume")
PATHSPEC_OPTIONS = ("diff", "flow")
# Of Metaflow's and kit's own; more can be named.
KNOWN = {
    "decorators": ("retry", "catch", "timeout", "resources", "kubernetes", "batch", "card", "environment", "secrets"),
    "environment": ("pypi-uv", "unpinned", "local", "pypi", "conda"),
}

Ask = Callable[[Mapping[Hashable, Find]], list[Offer]]


class MagicLine:
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
        self._given = given
        if self._runs:
            self._named = self._run_flow(before)
        self._step = self._expanded(given.get("flow", "") if self._installs else "".join(self._named[:1]))

    @property
    def _installs(self) -> bool:
        return bool(self._name == "mf_install_deps")

    @property
    def _runs(self) -> bool:
        return bool(self._name == "mf_run")

    def _run_flow(self, before: Sequence[str]) -> list[str]:
        """Name the flow that is run, wherever it stands among its Parameters; nothing where it is still to come."""
        own, others = own_words(before)
        found, _ = without_flow(others, self._session.project.scan().flows)
        return _read(self._parser, own)[0] or [name for name in (found,) if name]

    def _parameters(self) -> list[Offer]:
        """List the Parameters and Configs of the flow that is run, and Metaflow's own options."""
        current = self._session.current
        name = self._step.partition("/")[0] or (current.flow if current else "")
        flow = self._session.project.scan().flows.get(name) if self._runs else None
        if flow is None:
            return []
        options = (Offer(f"--{name}", "option") for name in (*AFTER, *BEFORE))
        own = [*(Offer(f"--{name}", "Parameter") for name in flow.parameters)]
        return [*own, *(Offer(f"--{name}", "Config") for name in flow.configs), *options]

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
        if self._name in ("mf_step", "mf_flow"):
            return self._steps_of_the_notebook()
        if self._runs and option in ("decorators", "environment"):
            return [Offer(name, "decorator" if option == "decorators" else "environment") for name in KNOWN[option]]
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

    def _steps_of_the_notebook(self) -> list[Offer]:
        """List the steps that are cells, where the line of another takes one: after `--after a,` too; artifacts, and
        decorators, where it takes these."""
        flow = self._session.notebook_flow
        if self._option == "decorators":
            from kit.authoring.decorated import decorators_begun  # asks Metaflow for them

            return [Offer(text, "decorator") for text in decorators_begun(self._word)]
        if self._option == "foreach" and flow is not None:
            dot = "self." if self._word.startswith("self.") else ""
            return [Offer(f"{dot}{name}", kind) for name, kind in self._found_by().items()]
        wanted = self._option in ("after", "drop") or (self._name == "mf_step" and not self._named and not self._option)
        before = self._word[: self._word.rfind(",") + 1]
        return [Offer(f"{before}{step}", "step") for step in flow.steps] if flow is not None and wanted else []

    def attributes_of_self(self) -> list[Offer]:
        """List the artifacts that a step in a cell finds on `self`."""
        return [Offer(name, kind) for name, kind in self._found_by().items()]

    def _found_by(self) -> dict[str, str]:
        flow = self._session.notebook_flow
        if flow is None or not self._named:
            return {}
        after = [name for name in self._given.get("after", "").split(",") if name]
        found: dict[str, str] = flow.found_by(self._named[0], after)
        return found

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
        known, questions = offers.pathspecs(session, part)
        found = [*known, *ask(questions)]
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
