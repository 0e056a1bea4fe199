"""The words of a magic's line."""

from __future__ import annotations

from kit.errors import ArgumentError

__all__ = ["begun", "split"]

CLOSING = {"(": ")", "[": "]", "{": "}"}
QUOTES = "'\""


def split(line: str) -> list[str]:
    """Split a magic's line into words, as a Python user means them.

    Words are parted by white space outside quotes and brackets, so `--set x=[1, 2]` and `--set s="a b"` are two words
    each. A word that is quoted as a whole loses its quotes; quotes inside a word stay, they are Python's. What
    follows a `#` at the start of a word is a comment.

    Raises:
        ArgumentError: A quote or a bracket is not closed.
    """
    words, last, missing = _parted(line)
    if missing:
        raise ArgumentError(f"{line.strip()!r} is not complete: there is no closing {missing}.", "Close it.")
    return [_unquoted(word) for word in words + [last] * bool(last)]


def begun(line: str) -> tuple[list[str], str]:
    """Split a line that is being written: the words before the cursor's, and the beginning of that one, as written."""
    words, last, _ = _parted(line)
    return [_unquoted(word) for word in words], last


def _parted(line: str) -> tuple[list[str], str, str]:
    """Give the words that white space ended, the last one, and the quote or bracket that it lacks."""
    words: list[str] = []
    open_brackets: list[str] = []
    word, open_quote, escaped = "", "", False
    for char in line:
        if open_quote:
            word += char
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == open_quote:
                open_quote = ""
        elif char.isspace() and not open_brackets:
            words, word = words + [word] * bool(word), ""
        elif char == "#" and not word:
            break
        else:
            word += char
            if char in QUOTES:
                open_quote = char
            elif char in CLOSING:
                open_brackets.append(CLOSING[char])
            elif open_brackets and char == open_brackets[-1]:
                open_brackets.pop()
    return words, word, open_quote or "".join(open_brackets[-1:])


def _unquoted(word: str) -> str:
    whole = len(word) >= 2 and word[0] in QUOTES and word[-1] == word[0] and word[0] not in word[1:-1]
    return word[1:-1] if whole else word
