"""A notebook's reference as files: JSON that reads well in a review, and the pictures of its figures and images.

Beside `notebooks/debug.ipynb` these are `notebooks/references/debug.json` and `notebooks/references/debug/*.png`.
"""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.errors import NotebookError
from kit.regression.compared import Recorded

__all__ = ["FOLDER", "Reference", "ReferenceCell", "load", "reference_path", "save", "stale_references"]

FOLDER = "references"
FORMAT = 1
WIDTH = 110
SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "image/webp": ".webp"}


@dataclass(frozen=True)
class ReferenceCell:
    """What a code cell put out when the reference was made.

    Args:
        id: The cell's id.
        source: The first line of its source, to know it by where ids do not last.
        outputs: Its outputs.
        varies: Whether its outputs differ in number or kind by themselves: then they are not compared.
    """

    id: str
    source: str
    outputs: tuple[Recorded, ...] = ()
    varies: bool = False


@dataclass(frozen=True)
class Reference:
    """What a notebook put out when the reference was made.

    Args:
        cells: Its code cells, in order.
        made_with: Versions that outputs depend on, by the package's name.
    """

    cells: tuple[ReferenceCell, ...]
    made_with: dict[str, str]


def reference_path(notebook: Path) -> Path:
    """Give the file of a notebook's reference, in a folder beside the notebook."""
    return notebook.parent / FOLDER / f"{notebook.stem}.json"


def stale_references(notebooks: Iterable[Path]) -> tuple[Path, ...]:
    """Find the references beside some notebooks whose own notebook is gone."""
    folders = dict.fromkeys(notebook.parent for notebook in notebooks)
    found = (path for folder in folders for path in sorted((folder / FOLDER).glob("*.json")))
    return tuple(path for path in found if not (path.parent.parent / f"{path.stem}.ipynb").exists())


def load(path: Path) -> Reference | None:
    """Read a reference; None where there is none.

    Raises:
        NotebookError: The file is no reference.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["kit"] > FORMAT:
            raise NotebookError(f"{path.name} was made by a newer kit.", "Install that one, or run kit test --update.")
        cells = tuple(_cell(path, cell) for cell in data["cells"])
        return Reference(cells, dict(data.get("made with", {})))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotebookError(
            f"The reference {path} cannot be read: {type(error).__name__}: {error}.",
            "Take it from git again, or make a new one: kit test --update.",
        ) from error


def save(path: Path, reference: Reference) -> None:
    """Write a reference, and the pictures of its outputs; pictures that it no longer has are removed."""
    pictures = path.with_suffix("")
    kept: dict[str, bytes] = {}
    cells = []
    for cell in reference.cells:
        outputs = []
        for number, output in enumerate(cell.outputs, 1):
            item: dict[str, Any] = {output.kind: output.value}
            if output.image:
                name = f"{cell.id}-{number}{SUFFIXES.get(output.mime, '.png')}"
                kept[name] = output.image
                item["file"] = f"{pictures.name}/{name}"
            outputs.append(item)
        varies = {"varies": True} if cell.varies else {}
        cells.append({"id": cell.id, "source": cell.source, **varies, "outputs": outputs})
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, f"{_json({'kit': FORMAT, 'made with': reference.made_with, 'cells': cells})}\n".encode())
    if not kept:
        shutil.rmtree(pictures, ignore_errors=True)
        return
    pictures.mkdir(exist_ok=True)
    for name, image in kept.items():
        _write(pictures / name, image)
    for stale in pictures.iterdir():
        if stale.name not in kept and stale.suffix in SUFFIXES.values():
            stale.unlink()


def _write(path: Path, content: bytes) -> None:
    """Write a file where its content changes, whole or not at all."""
    if path.is_file() and path.read_bytes() == content:
        return
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(content)
    draft.replace(path)


def _cell(path: Path, cell: dict[str, Any]) -> ReferenceCell:
    outputs = tuple(_output(path, item) for item in cell["outputs"])
    return ReferenceCell(str(cell["id"]), str(cell["source"]), outputs, bool(cell.get("varies")))


def _output(path: Path, item: dict[str, Any]) -> Recorded:
    file = str(item.get("file", ""))
    kind, value = next((name, value) for name, value in item.items() if name != "file")
    mime = next((mime for mime, suffix in SUFFIXES.items() if file.endswith(suffix)), "")
    picture = path.parent / file if file and ".." not in Path(file).parts else None
    image = picture.read_bytes() if picture is not None and picture.is_file() else b""
    return Recorded(kind, value, image, mime)


def _json(value: Any, indent: str = "") -> str:
    """Write JSON for reviews: an object's members and a list of texts a line each, rows and numbers in full lines."""
    inner = f"{indent} "
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or not value or (len(flat) + len(indent) <= WIDTH and not _has_lines(value)):
        return flat
    if isinstance(value, dict):
        members = (f"{inner}{json.dumps(str(name))}: {_json(part, inner)}" for name, part in value.items())
        return "{\n" + ",\n".join(members) + f"\n{indent}}}"
    if all(isinstance(item, (int, float)) or item is None for item in value):
        return f"[\n{_filled(value, inner)}\n{indent}]"
    return "[\n" + ",\n".join(f"{inner}{_json(item, inner)}" for item in value) + f"\n{indent}]"


def _has_lines(value: Any) -> bool:
    """Whether there is something in it that a review wants on lines of its own: several texts or objects."""
    if isinstance(value, dict):
        return len(value) > 3 or any(isinstance(part, (dict, list)) and _has_lines(part) for part in value.values())
    return len(value) > 1 and any(isinstance(item, (dict, list)) for item in value)


def _filled(values: Iterable[Any], indent: str) -> str:
    words = ", ".join(json.dumps(value) for value in values)
    return textwrap.fill(words, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
