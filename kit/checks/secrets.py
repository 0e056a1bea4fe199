"""The rule about secrets: well-known shapes of tokens and keys, which are named and never shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from kit.checks.findings import Finding
from kit.checks.notebooks import Cell, CheckedNotebook
from kit.checks.subject import Subject

__all__ = ["secret_kinds", "secrets"]

FEWEST_CHARACTERS = 5  # different ones: fewer are a placeholder, as in ghp_xxxx

MIXED = r"(?=[A-Za-z]*\d)(?=[a-z0-9]*[A-Z])"  # a digit and a capital: no word of a page

# What the services say of their own tokens: GitHub's "Behind GitHub's new authentication token formats", AWS's IAM
# identifiers, GitLab's token overview, Slack's token types, Google's API keys; RFC 7468 (keys), 7519 (JWT) and 6750
# (bearer).
PATTERNS = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("an AWS access key", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
        ("an AWS secret key", r"(?i)aws_?secret_?(?:access_?)?key\W{1,5}(?P<value>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])"),
        ("a GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})"),
        ("a GitLab token", r"\bgl(?:pat|dt|rt|cbt|ptt|ft|soat)-[\w-]{20,}"),
        ("a Slack token", r"\bxox[abeoprs]-(?:[\w-]{10,})"),
        ("a Slack webhook", r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9+/]{20,}"),
        ("a Google API key", r"\bAIza[\w-]{35}(?![\w-])"),
        ("a Google OAuth token", r"\bya29\.[\w-]{20,}"),
        ("a Stripe key", r"\b[rs]k_live_[A-Za-z0-9]{20,}"),
        ("an API key (sk-...)", r"\bsk-(?:[a-z]{2,8}-)?(?:api\d\d-)?" + MIXED + r"[A-Za-z0-9]{10,}[\w-]{10,}"),
        ("an access token (hf_...)", r"\bhf_[A-Za-z0-9]{30,}"),
        ("an npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
        ("a PyPI token", r"\bpypi-AgE[\w-]{50,}"),
        ("a SendGrid key", r"\bSG\.[\w-]{20,24}\.[\w-]{39,50}"),
        ("a Databricks token", r"\bdapi[a-f0-9]{32}\b"),
        ("an Azure storage key", r"AccountKey=(?P<value>[A-Za-z0-9+/]{80,}={0,2})"),
        ("a private key", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\s|\\n)+[A-Za-z0-9+/=:, -]{20,}"),
        ("a JSON Web Token", r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
        ("a bearer token", r"(?i)\bbearer\s+(?P<value>(?=[^\s'\"]*\d)(?=[^\s'\"]*[a-z])[\w.~+/-]{20,}=*)"),
        ("basic credentials", r"(?i)\bauthorization['\"]?\s*[:=]\s*['\"]?basic\s+(?P<value>[A-Za-z0-9+/]{12,}=*)"),
        ("a password in an address", r"\b[a-z][a-z0-9+.-]{2,}://[^\s/:@'\"<>{}$]+:(?P<value>[^\s/:@'\"<>{}$*]{6,})@[\w.-]"),
        (
            "a password or key",
            r"(?i)(?<![a-z])(?:api_?key|secret_?key|(?:secret_?)?access_?key|access_?token|auth_?token|client_?secret"
            r"|password|passwd)['\"]?\s*[:=]\s*(?P<q>['\"])(?P<value>(?=[^'\"]*\d)(?=[^'\"]*[a-zA-Z])[^\s'\"<>{}$]{8,})(?P=q)",
        ),
    )
)  # fmt: skip
PLACEHOLDER = re.compile(
    r"(?i)x{4,}|\*{3,}|\.\.\.|your|placeholder|changeme|dummy|redacted|example|getenv|environ|password123"
)
LITERAL_EXAMPLES = ("an AWS access key",)  # whose documentation's own example is as good a reason to look


def secrets(subject: Subject) -> Iterator[Finding]:
    """No secret stands in a notebook, above all not in its outputs, nor in a Python file.

    What was printed once is in git for ever, in every clone. Looked for are the well-known shapes: keys of AWS, Google
    and Azure, tokens of GitHub, GitLab, Slack, Stripe and others, private keys, JSON Web Tokens, bearer tokens,
    passwords in addresses, and quoted values named password, api_key and the like. What looks like a placeholder is
    left alone. The secret itself is never shown. Mending is two things: take it out, and make a new one, since this
    one is known.
    """
    for notebook in subject.notebooks:
        lines = notebook.text.splitlines()
        for cell in notebook.cells:
            for kind in _kinds(cell.outputs):
                own = set(cell.lines.source)
                line = _line(lines, kind, [number for number in range(cell.lines.first, cell.end) if number not in own])
                mend = "Clear the cell's outputs, and replace the secret where it is used."
                message = f"{kind} in the output of cell {cell.number}"
                yield Finding(str(notebook.path), line or cell.lines.first, message, mend, cell.number)
            yield from _in_source(notebook, cell)
        for kind in secret_kinds(json.dumps(notebook.metadata)):
            line = _line(lines, kind, range(1, len(lines) + 1)) or 1
            mend = "Take it out of the metadata, and replace the secret where it is used."
            yield Finding(str(notebook.path), line, f"{kind} in the notebook's metadata", mend)
    for module in subject.modules.values():
        for number, text in enumerate(module.text.splitlines(), start=1):
            for kind in secret_kinds(text):
                mend = "Read it from the environment or with @secrets, and replace the secret."
                yield Finding(module.path, number, f"{kind} in the source", mend, lines=(number,))


def secret_kinds(text: str) -> tuple[str, ...]:
    """Name the kinds of secrets that a text has, each once."""
    return tuple(kind for kind, pattern in PATTERNS if any(_real(kind, found) for found in pattern.finditer(text)))


def _real(kind: str, found: re.Match[str]) -> bool:
    value = found.groupdict().get("value") or found[0]
    if len(set(value.lower())) < FEWEST_CHARACTERS:
        return False
    return kind in LITERAL_EXAMPLES or PLACEHOLDER.search(value) is None


def _kinds(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(kind for text in texts for kind in secret_kinds(text)))


def _in_source(notebook: CheckedNotebook, cell: Cell) -> Iterator[Finding]:
    for number, text in enumerate(cell.source.splitlines(), start=1):
        for kind in secret_kinds(text):
            mend = "Read it from the environment, and replace the secret."
            message = f"{kind} in the source of cell {cell.number}"
            yield Finding(str(notebook.path), cell.lines.line(number), message, mend, cell.number)


def _line(lines: list[str], kind: str, numbers: Iterable[int]) -> int | None:
    """Give the first of some lines of a notebook's file that has a secret of this kind, or in which one begins."""
    for number in numbers:
        texts = [_unquoted(line) for line in lines[number - 1 : number + 1]]
        if kind in secret_kinds(texts[0]) or (
            kind in secret_kinds("".join(texts)) and kind not in secret_kinds(texts[-1])
        ):
            return number
    return None


def _unquoted(line: str) -> str:
    """Give the text of a line that is a text of JSON, as the lines of an output are."""
    text = line.strip().rstrip(",")
    try:
        value = json.loads(text)
    except ValueError:
        return line
    return value if isinstance(value, str) else line
