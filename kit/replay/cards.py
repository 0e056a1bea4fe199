"""The cards of a replayed step: what it appended to them, and the page that Metaflow's card class makes of it.

Metaflow starts a process for each card (`card create`, metaflow.plugins.cards.card_cli), of two to three seconds.
Here nothing is rendered until somebody looks, and then in this process, by the same classes and from the same data.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from types import ModuleType
from typing import Any

from kit import internals
from kit.errors import ReplayError
from kit.flowfile import as_script
from kit.metadata import pointed_at
from kit.model import RunInfo, StepResult, TaskInfo
from kit.replay.card import FRAME_LIMIT, Card, card_key
from kit.replay.cardtask import CardTask
from kit.replay.process import preserved
from kit.runs import Runs

__all__ = ["CardSource", "ReplayedCard", "ReplayedCards", "collected", "no_card_process"]


@contextmanager
def no_card_process() -> Iterator[None]:
    """Keep @card from starting processes and writing files, at the step's end and at each `current.card.refresh()`."""
    creator, decorator = internals.CardCreator, internals.CardDecorator
    create, configs = creator.create, vars(decorator)["_set_config_file_name"]
    creator.create = lambda *_args, **_kwargs: None
    decorator._set_config_file_name = classmethod(lambda *_args: None)  # a temporary file, for these processes alone
    try:
        yield
    finally:
        creator.create = create
        decorator._set_config_file_name = configs


@dataclass(frozen=True)
class CardSource:
    """What the cards of a replayed task are made from.

    Args:
        runs: The project's runs.
        run: The run that was replayed.
        task: The task that was replayed; it need not be recorded.
        flow: The flow object, as the step left it.
        module: The flow file's module.
        result: Gives the replay's result, which is made after the cards are collected.
    """

    runs: Runs
    run: RunInfo
    task: TaskInfo
    flow: Any
    module: ModuleType
    result: Callable[[], StepResult]


def collected(source: CardSource) -> ReplayedCards:
    """Take the cards of the step that has just run, while `metaflow.current` is still its own; renders nothing.

    Args:
        source: What the cards are made from.

    Returns:
        The cards by id; "" for one without an id, and the type (then "type 2", ...) for further ones.
    """
    collector = internals.current.get("card")
    found: dict[str, ReplayedCard] = {}
    if not isinstance(collector, internals.CardComponentCollector):
        return ReplayedCards(found)
    current = dict(vars(internals.current)), _properties()
    finished = datetime.now()
    for uuid, meta in reversed(collector._cards_meta.items()):  # the decorators from the top
        name, kind = str(meta["card_id"] or ""), str(meta["type"])
        key = card_key(name, kind, found)
        components = tuple(collector._card_component_store[uuid])
        options = dict(meta["card_options"] or {})
        renderer = _Renderer(source, collector, uuid, meta["decorator_attributes"], options, current, finished)
        found[key] = ReplayedCard(key, kind, options, components, renderer)
    return ReplayedCards(found)


class ReplayedCards(Mapping[str, Card]):
    """The cards of a replayed step, by id; a notebook shows them all.

    Args:
        cards: The cards by id.
    """

    def __init__(self, cards: Mapping[str, Card]) -> None:
        self._cards = cards

    def __getitem__(self, card_id: str) -> Card:
        return self._cards[card_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cards)

    def __len__(self) -> int:
        return len(self._cards)

    def __repr__(self) -> str:
        return "\n".join(map(repr, self._cards.values())) or "no cards"

    def _repr_html_(self) -> str:
        from kit.views import card

        return card.together([one._repr_html_() for one in self._cards.values()])


@dataclass(frozen=True, repr=False, eq=False)
class ReplayedCard(Card):
    """A card of a replayed step: a sequence of its components, which a notebook shows.

    Args:
        id: The card's id; "" for the one without.
        type: The card's type, such as "default" or "blank".
        options: The options that @card gives it.
        components: What the step appended to it: Metaflow's own component objects.
    """

    id: str
    type: str
    options: Mapping[str, Any]
    components: tuple[Any, ...]
    _renderer: _Renderer = field(compare=False)

    @property
    def html(self) -> str:
        """The whole page, as Metaflow's card class renders it; an error card where it fails, as in a real run.

        Raises:
            ReplayError: It fails, and @card(save_errors=False) says that there is no card then.
        """
        page = self._renderer.page()
        if page.html is None:
            raise ReplayError(
                f"The {self._label()} cannot be rendered: {_last_line(page.error)}",
                "A real run would store no card (save_errors=False). Mend what the card's type or a component does.",
            ) from page.cause
        return page.html

    def __repr__(self) -> str:
        from kit.views import card

        return card.text(self._label(), self._renderer.components())

    def _repr_html_(self) -> str:
        from kit.views import card

        page = self._renderer.page()
        small = page.html is not None and not page.error and len(page.html) <= FRAME_LIMIT
        return card.html(self._label(), self.id, page.components, page.html or "", page.error, framed=small)


@dataclass(frozen=True)
class _Page:
    components: Sequence[Any]
    html: str | None
    error: str
    cause: BaseException | None


@dataclass(frozen=True)
class _Renderer:
    """Does what `card create` does, from what was taken when the step had run."""

    source: CardSource
    collector: Any
    uuid: str
    attributes: Mapping[str, Any]
    options: Mapping[str, Any]
    current: tuple[dict[str, Any], dict[str, Any]]
    finished: datetime

    def components(self) -> Sequence[Any]:
        """Render the components, where `metaflow.current` is the step's.

        Metaflow puts all of a card's components into one section, if one of them is a user's.
        """
        return self._data()[0]

    def page(self) -> _Page:
        """Render the page, where `metaflow.current` is that of no task."""
        components, data = self._data()
        source, types = self.source, internals.card_exceptions
        kind, options = self.attributes["type"], _through_json(self.options)
        error, cause, html = "", None, None
        task = CardTask(source.runs, source.run, source.task, source.result, source.flow, self.finished)
        with self._process(), _untouched(card_class := internals.get_card_class(kind)):
            if card_class is None:
                error = str(types.CardClassFoundException(kind))
            else:
                try:
                    card = self._instance(card_class, components, options)
                    info = internals.card_cli.update_card(card, "render", task, data, self._timeout())
                    html, error = info.data, _what_is_missing(info, kind, self.attributes["timeout"])
                except types.IncorrectCardArgsException as failure:
                    error, cause = str(failure), failure
                except (Exception, SystemExit) as failure:  # whatever it is becomes the error card
                    error, cause = str(types.UnrenderableCardException(kind, options or None)), failure
            if error and self.attributes["save_errors"]:
                html = self._error_page(task, error)
        return _Page(components, html, error, cause)

    def _data(self) -> tuple[list[Any], dict[str, Any]]:
        with self._process():
            instance, properties = self.current
            vars(internals.current).update(instance)
            for name, value in properties.items():
                setattr(internals.Current, name, value)
            serialized = self.collector._serialize_components(self.uuid)
            data = self.collector._get_latest_data(self.uuid, final=True, mode="render")
            return _through_json(serialized), _through_json(data)

    def _instance(self, card_class: Any, components: list[Any], options: Mapping[str, Any]) -> Any:
        import inspect

        graph = self.source.flow._graph
        steps, _ = graph.output_steps()
        arguments = {"components": components, "graph": steps, "flow": self.source.flow}
        if options:
            arguments["options"] = options
        if "graph_info" in inspect.signature(card_class).parameters:
            arguments["graph_info"] = {"steps": steps, "start_step": graph.start_step, "end_step": graph.end_step}
        try:
            return card_class(**arguments)
        except TypeError as error:
            raise internals.card_exceptions.IncorrectCardArgsException(card_class.type, options or None) from error

    def _timeout(self) -> int | None:
        """Give the seconds after which Metaflow ends the rendering, by an alarm: the main thread alone can have one."""
        seconds = self.attributes["timeout"]
        in_main_thread = threading.current_thread() is threading.main_thread()
        return int(seconds) if seconds is not None and in_main_thread else None

    def _error_page(self, task: CardTask, error: str) -> str:
        from metaflow.cards import ErrorCard

        card = ErrorCard()
        return str(card.render(task, stack_trace=error)).replace(card.RELOAD_POLICY_TOKEN, "final")

    @contextmanager
    def _process(self) -> Iterator[None]:
        """Be for a while the process that renders a card: `__main__` is the flow file, every namespace is read."""
        folder = self.source.runs.folder_of(self.source.run)  # Metaflow's client, which a card may ask, reads there
        with preserved(), as_script(self.source.module), pointed_at(folder) if folder else nullcontext():
            internals.client_core.current_namespace = None
            yield


def _properties() -> dict[str, Any]:
    """Give what Metaflow has added to `current` for the running task: it keeps these on the class."""
    return {name: value for name, value in vars(internals.Current).items() if isinstance(value, property)}


def _through_json(value: Any) -> Any:
    """Give what another process reads: Metaflow hands components and options over in JSON files."""
    return json.loads(json.dumps(value))


def _what_is_missing(info: Any, kind: str, timeout: Any) -> str:
    if info.timed_out:
        return (
            f"\nCard rendering timed out after {timeout} seconds. To increase the timeout duration for card "
            f"rendering, please set the `timeout` parameter in the @card decorator. \n"
            f"Stack Trace : \n{info.timeout_stack_trace}"
        )
    return f"No information rendered from card of type {kind}" if info.data is None else ""


@contextmanager
def _untouched(card_class: Any) -> Iterator[None]:
    """Take back the property that Metaflow sets on a card's class to render it."""
    before = dict(vars(card_class)) if card_class is not None else {}
    try:
        yield
    finally:
        if card_class is not None and "runtime_data" in before:
            card_class.runtime_data = before["runtime_data"]
        elif card_class is not None and "runtime_data" in vars(card_class):
            del card_class.runtime_data


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "its type gave no page"
