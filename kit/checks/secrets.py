"""The rule about secrets: where they stand. They are named and never shown."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Iterator

from kit.checks.findings import Finding
from kit.checks.notebooks import Cell, CheckedNotebook, plain
from kit.checks.secret_shapes import secret_kinds
from kit.checks.subject import Subject

__all__ = ["secrets"]


def secrets(subject: Subject) -> Iterator[Finding]:
    """No secret stands in a notebook, above all not in its outputs, nor in a Python file.

    What was printed once is in git for ever, in every clone. Looked for are the well-known shapes: keys of AWS, Google
    and Azure, tokens of GitHub, GitLab, Slack, Stripe, Hugging Face, OpenAI and others, private keys, JSON Web Tokens,
    bearer tokens, passwords in addresses, and values named password, api_key and the like, in outputs of every kind,
    in sources and in metadata.

        postgresql://anna:Tr0ub4dor@db/sales     # a finding
        password = os.environ["DB_PASSWORD"]     # none

    What looks like a placeholder (`your-key`, `changeme`, `****`, `{password}`) is left alone, and so are hashes, uuids
    and pictures. The secret itself is never shown. Mending is two things: take it out, and make a new one, since this
    one is known.
    """
    for notebook in subject.notebooks:
        lines = notebook.text.split("\n")
        for cell in notebook.cells:
            for kind in _kinds(cell.outputs):
                own = set(cell.lines.source)
                line = _line(lines, kind, [number for number in range(cell.lines.first, cell.end) if number not in own])
                mend = "Clear the cell's outputs, and replace the secret where it is used."
                message = f"{kind} in the output of cell {cell.number}"
                yield Finding(str(notebook.path), line or cell.lines.first, message, mend, cell.number)
            yield from _in_source(notebook, cell)
            for kind in secret_kinds(cell.metadata):
                line = _line(lines, kind, range(cell.lines.first, cell.end)) or cell.lines.first
                mend = "Take it out of the metadata, and replace the secret where it is used."
                yield Finding(
                    str(notebook.path), line, f"{kind} in the metadata of cell {cell.number}", mend, cell.number
                )
        for kind in secret_kinds(json.dumps(notebook.metadata)):
            line = _line(lines, kind, range(1, len(lines) + 1)) or 1
            mend = "Take it out of the metadata, and replace the secret where it is used."
            yield Finding(str(notebook.path), line, f"{kind} in the notebook's metadata", mend)
    for module in subject.modules.values():
        kinds = secret_kinds(module.text)
        for number, text in enumerate(module.text.split("\n"), start=1):
            for kind in secret_kinds(text) if kinds else ():
                mend = "Read it from the environment or with @secrets, and replace the secret."
                yield Finding(module.path, number, f"{kind} in the source", mend, lines=(number,))


def _kinds(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(kind for text in texts for kind in secret_kinds(text)))


def _in_source(notebook: CheckedNotebook, cell: Cell) -> Iterator[Finding]:
    kinds = secret_kinds(cell.source)
    for number, text in enumerate(cell.source.splitlines() if kinds else (), start=1):
        for kind in secret_kinds(text):
            mend = "Read it from the environment, and replace the secret."
            message = f"{kind} in the source of cell {cell.number}"
            yield Finding(str(notebook.path), cell.lines.line(number), message, mend, cell.number)


def _line(lines: list[str], kind: str, numbers: Iterable[int]) -> int | None:
    """Give the first of some lines of a notebook's file that has a secret of this kind, or in which one begins."""
    for number in numbers:
        texts = [_unquoted(line) for line in lines[number - 1 : number + 1]]
        whole = "".join(texts)
        if texts and (
            kind in secret_kinds(texts[0]) or (kind in secret_kinds(whole) and kind not in secret_kinds(texts[-1]))
        ):
            return number
    return None


def _unquoted(line: str) -> str:
    """Give the text of a line that is a text of JSON, as the lines of an output are."""
    text = line.strip().rstrip(",")
    try:
        value = json.loads(text)
    except ValueError:
        return html.unescape(line)
    return plain(value) if isinstance(value, str) else line
