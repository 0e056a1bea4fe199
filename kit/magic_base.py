"""What kit's magics have in common: the session, the notebook's names, and how a line is parsed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics

from kit import session as sessions
from kit import words
from kit.errors import ArgumentError
from kit.reload import Reloader

__all__ = ["MagicBase"]


class MagicBase(Magics):
    """Magics that know the session.

    Args:
        shell: The IPython shell.
        session: The extension's session.
        reloader: Reloads the project's modules.
    """

    def __init__(self, shell: Any, session: sessions.Session, reloader: Reloader) -> None:
        super().__init__(shell)
        self.session, self.reloader = session, reloader
        session.require_sound = reloader.require_sound
        self.user_ns: dict[str, Any] = shell.user_ns

    def _parse(self, magic: Callable[..., Any], line: str) -> argparse.Namespace:
        """Parse a line by the magic's own parser."""
        return self._parse_words(magic, words.split(line))

    def _parse_words(self, magic: Callable[..., Any], given: list[str]) -> argparse.Namespace:
        """Parse words by the magic's own parser; also reloads what has changed, before the magic looks at it."""
        self.reloader.check()
        return parsed(magic, given)


def parsed(magic: Callable[..., Any], given: list[str]) -> argparse.Namespace:
    """Parse words by a magic's own parser.

    Raises:
        ArgumentError: They are not what it takes.
    """
    name = magic.__name__
    try:
        found: argparse.Namespace = magic.parser.parse_args(given)  # type: ignore[attr-defined]
    except UsageError as error:
        raise ArgumentError(f"%{name}: {error}.", f"%{name}? shows what it takes.") from None
    return found
