"""Runs in S3, as an S3 server on this machine has them: real boto3, real HTTP, with and without a network's delay."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flows_for_tests import COMMON, FOREACH
from s3_server import Delayed, s3_server
from support import run_flow, write_files

pytestmark = pytest.mark.flow

LOOK = """
import json
import kit

table = kit.artifacts("ForeachFlow")
failed = ""
try:
    table.load("nothing")
except kit.KitError as error:
    failed = str(error)
print("RESULT", json.dumps({
    "store": table.target.run.store,
    "status": table.target.run.status,
    "seconds": table.target.run.seconds,
    "shown": repr(table),
    "names": table["outer_join"]["names"],
    "gathered": [list(map(str, row)) for row in table.gather("name_of_task").itertuples(index=False)],
    "found": kit.artifacts("ForeachFlow/inner[depth=5,widths=c]").target.task,
    "failed": failed,
}))
"""

REPLAY = """
import json
import kit

result = kit.run_step("ForeachFlow/outer_join")
print("RESULT", json.dumps({"same": sorted(result.same), "changed": sorted(result.changed)}))
"""

GATHER = """
import json
import kit

kit.artifacts("ForeachFlow").gather("name_of_task")
print("RESULT", json.dumps({"rows": len(kit.artifacts("ForeachFlow").gather("name_of_task"))}))
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str], Delayed]]:
    """A project with a run whose artifacts are in S3, and whose metadata is in the project's folder."""
    root = tmp_path_factory.mktemp("s3") / "project"
    write_files(root, {"flows/common.py": COMMON, "flows/loops.py": FOREACH, "pyproject.toml": "[tool.kit]\n"})
    with s3_server() as (environ, delayed):
        before = dict(os.environ)
        os.environ.update(environ)
        try:
            run_flow(root / "flows" / "loops.py", cwd=root)
        finally:
            os.environ.clear()
            os.environ.update(before)
        yield root, environ, delayed


def look(root: Path, environ: dict[str, str], code: str = LOOK) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "RESULT" in done.stdout, done.stdout + done.stderr
    return dict(json.loads(done.stdout.split("RESULT")[1]))


def test_a_run_in_s3_is_listed_loaded_gathered_and_found_by_foreach_value(
    recorded: tuple[Path, dict[str, str], Delayed],
) -> None:
    root, environ, _ = recorded
    found = look(root, environ)
    assert found["store"] == environ["METAFLOW_DATASTORE_SYSROOT_S3"]
    assert found["status"] == "succeeded"
    assert found["seconds"] > 0
    assert "inner → inner_join" in found["shown"]
    assert "6 tasks" in found["shown"]
    assert found["names"] == ["3a0", "3b1", "3c2", "5a0", "5b1", "5c2"]
    assert found["gathered"][5] == ["5", "c", "5c2"]
    assert found["found"]
    assert "has no artifact nothing" in found["failed"]


def test_many_small_objects_are_read_together_where_each_has_to_be_waited_for(
    recorded: tuple[Path, dict[str, str], Delayed],
) -> None:
    root, environ, delayed = recorded
    delayed.seconds, delayed.most = 0.05, 0
    try:
        look(root, environ)
    finally:
        delayed.seconds = 0.0
    assert delayed.most >= 4


def test_a_replay_asks_for_two_files_a_task_and_for_each_once(
    recorded: tuple[Path, dict[str, str], Delayed],
) -> None:
    root, environ, delayed = recorded
    before = len(delayed.asked)
    assert look(root, environ, REPLAY) == {"same": ["name", "names"], "changed": []}
    asked = [path.rpartition("/ForeachFlow/")[2] for path in delayed.asked[before:]]
    tasks = [path for path in asked if path.endswith((".data.json", ".attempt.json", ".DONE.lock"))]
    assert {path.rpartition("/")[2] for path in tasks} == {"0.data.json", "1.attempt.json"}
    assert len(tasks) - len(set(tasks)) <= 2  # the Parameters: for the graph, and for the step


def test_what_was_gathered_a_moment_ago_is_not_fetched_again(recorded: tuple[Path, dict[str, str], Delayed]) -> None:
    root, environ, delayed = recorded
    before = len(delayed.asked)
    assert look(root, environ, GATHER) == {"rows": 6}
    pickles = [path for path in delayed.asked[before:] if "/ForeachFlow/data/" in path]
    assert pickles
    assert len(pickles) == len(set(pickles))
