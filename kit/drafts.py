"""Flow files of flows that are only in a notebook: where kit keeps them, and which run was of which."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

__all__ = ["RAN", "drafts_folder", "file_to_run", "is_of_draft"]

RAN = "ran"  # the folder of the files that runs read
MARK_LENGTH = 8


def drafts_folder(root: Path) -> Path:
    """Give the folder of the latest draft of each flow, which need not be there.

    Args:
        root: The project's root.
    """
    return root / ".kit" / "flows"


def file_to_run(draft: Path, content: bytes) -> Path:
    """Give the file that a run of a draft reads: it never changes, as a run reads it again for each of its tasks.

    Args:
        draft: The latest draft of the flow.
        content: What it holds.
    """
    return draft.parent / RAN / f"{draft.stem}_{sha256(content).hexdigest()[:MARK_LENGTH]}.py"


def is_of_draft(script: str, draft: Path) -> bool:
    """Whether the script that Metaflow recorded for a run was a draft, also an earlier one.

    Args:
        script: The name of the run's script.
        draft: The latest draft of the flow.
    """
    return re.fullmatch(rf"{re.escape(draft.stem)}_[0-9a-f]{{{MARK_LENGTH}}}\.py", script) is not None
