"""The import of jsonschema, which nbformat needs, without a part of it that is slow and of no use here."""

from __future__ import annotations

import sys

__all__ = ["import_schemas"]

GRAMMAR = "rfc3987_syntax"  # a parser of IRIs, built in a second at import; no schema of a notebook has any


def import_schemas() -> None:
    """Import jsonschema as where its optional check of IRIs is not installed; for a process that is kit's own."""
    if "jsonschema" in sys.modules or GRAMMAR in sys.modules:
        return
    sys.modules[GRAMMAR] = None  # type: ignore[assignment]  # its import is now the ImportError that jsonschema expects
    try:
        import jsonschema  # noqa: F401
    finally:
        del sys.modules[GRAMMAR]
