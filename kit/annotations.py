"""GitHub's workflow commands: what a job prints so that a review shows it on a line of a file."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["annotation"]


def annotation(level: str, properties: Mapping[str, str], message: str) -> str:
    """Write one.

    Args:
        level: `error`, `warning` or `notice`.
        properties: `file` (as seen from the checkout's root), `line`, `title`.
        message: What is shown; it may have several lines.

    Source:
        GitHub's documentation, "Workflow commands for GitHub Actions".
    """
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level} {told}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
