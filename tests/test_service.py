"""Runs that a metadata service knows of, with their artifacts on this machine and in S3: real runs, real HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from metadata_server import Records, metadata_server
from s3_server import s3_server
from support import USER, run_flow, write_files

pytestmark = pytest.mark.flow

SMALL = """
    from metaflow import FlowSpec, Parameter, step


    class SmallFlow(FlowSpec):
        times = Parameter("times", type=int, default=1)

        @step
        def start(self):
            self.letters = ["a", "b"]
            self.next(self.work, foreach="letters")

        @step
        def work(self):
            self.word = self.input * self.times
            self.next(self.join)

        @step
        def join(self, inputs):
            self.words = [i.word for i in inputs]
            self.next(self.end)

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        SmallFlow()
"""

LOOK = """
import json
import kit
import metaflow

table = kit.artifacts("SmallFlow")
other = kit.artifacts("SmallFlow", tags=["daily"], all_namespaces=True)
replayed = kit.run_step("SmallFlow/work", {"times": 2}, foreach="b", to="join")
print("RESULT", json.dumps({
    "client": [run.id for run in metaflow.Flow("SmallFlow")],
    "run": table.target.run.id,
    "store": table.target.run.store,
    "status": table.target.run.status,
    "seconds": table.target.run.seconds,
    "shown": repr(table),
    "words": table["join"]["words"],
    "b": table["work[letters=b]"]["word"],
    "gathered": [list(map(str, row)) for row in table.gather("word").itertuples(index=False)],
    "other": [other.target.run.user, list(other.target.run.tags), other.target.run.store, other["join"]["words"]],
    "differ": repr(table.diff(other)),
    "replayed": [sorted(replayed.changed), replayed.artifacts["words"], replayed.origin],
}))
"""

FIND = """
import kit

try:
    print(kit.artifacts("SmallFlow").target.run)
except kit.KitError as error:
    print("ERROR", type(error).__name__, error)
"""


@contextmanager
def _environ(names: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(names)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _nowhere() -> Iterator[dict[str, str]]:
    yield {}


@contextmanager
def _s3() -> Iterator[dict[str, str]]:
    with s3_server() as (environ, _):
        yield environ


@pytest.fixture(scope="module", params=["local", "s3"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two runs of two users, of which the second was written to another root; gives the project and its service."""
    root = tmp_path_factory.mktemp("service") / "project"
    write_files(root, {"flows/small.py": SMALL, "notebooks/empty.txt": "", "pyproject.toml": "[tool.kit]\n"})
    elsewhere = {
        "local": {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(root.parent / "elsewhere")},
        "s3": {"METAFLOW_DATASTORE_SYSROOT_S3": "s3://kit-tests/elsewhere"},
    }[request.param]
    with metadata_server() as (environ, records), _s3() if request.param == "s3" else _nowhere() as more:
        environ = {**environ, **more}
        file = root / "flows" / "small.py"
        with _environ({**environ, **elsewhere}):
            run_flow(file, "--times", "3", "--tag", "daily", user="anna")
        with _environ({**environ, "METAFLOW_FEAT_ALWAYS_UPLOAD_CODE_PACKAGE": "1"}):
            run_flow(file, to_its_end=True)
        yield root, environ, records


@pytest.fixture(scope="module")
def seen(recorded: tuple[Path, dict[str, str], Records]) -> dict[str, Any]:
    """What kit and the client say, in a process that is in another folder than the run was."""
    root, environ, records = recorded
    before = len(records.requests)
    done = python(root / "notebooks", LOOK, environ)
    assert "RESULT" in done, done
    return {"before": before, **json.loads(done.split("RESULT")[1].splitlines()[0])}


def python(folder: Path, code: str, environ: dict[str, str]) -> str:
    environ = {**os.environ, "USERNAME": USER, **environ}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environ, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_a_run_of_the_service_is_listed_and_its_artifacts_are_loaded(seen: dict[str, Any]) -> None:
    assert [seen["run"]] == seen["client"]  # the client does not show other users' runs
    assert seen["status"] == "succeeded"
    assert seen["seconds"] > 0
    assert "work → join" in seen["shown"]
    assert "2 tasks" in seen["shown"]
    assert seen["words"] == ["a", "b"]


def test_a_foreach_is_gathered_and_one_of_its_tasks_found_by_its_value(seen: dict[str, Any]) -> None:
    assert seen["b"] == "b"
    assert seen["gathered"] == [["a", "a"], ["b", "b"]]


def test_a_run_that_another_user_wrote_to_another_root_is_found_by_its_tag(seen: dict[str, Any]) -> None:
    user, tags, store, words = seen["other"]
    assert (user, tags) == ("anna", ["daily"])
    assert "elsewhere" in store
    assert store != seen["store"]
    assert words == ["aaa", "bbb"]


def test_two_runs_of_the_service_are_compared_without_loading(seen: dict[str, Any]) -> None:
    assert "word" in seen["differ"]
    assert "times" in seen["differ"]
    assert "letters" not in seen["differ"]


def test_a_step_of_a_run_of_the_service_is_replayed_and_registers_nothing(
    seen: dict[str, Any], recorded: tuple[Path, dict[str, str], Records]
) -> None:
    changed, words, origin = seen["replayed"]
    assert origin.startswith(f"SmallFlow/{seen['run']}/join/")
    assert "words" in changed
    assert words == ["a", "bb"]
    assert not [request for request in recorded[2].requests[seen["before"] :] if not request.startswith("GET")]


def test_a_task_of_the_service_is_debugged_with_the_code_that_the_run_has_packed(
    recorded: tuple[Path, dict[str, str], Records],
) -> None:
    root, environ, _ = recorded
    debug = "from kit.cli import main; main(['debug', 'SmallFlow/work', '--force'])"
    assert "wrote  debug_work_" in (shown := python(root / "notebooks", debug, environ)), shown
    (written,) = (root / "notebooks").glob("debug_work_*.ipynb")
    text = written.read_text(encoding="utf-8")
    assert "are today as they are in the run's code package" in text
    assert "self.word = self.input * self.times" in text


@pytest.mark.parametrize("recorded", ["local"], indirect=True)
def test_the_heartbeat_of_a_run_tells_whether_it_is_alive(recorded: tuple[Path, dict[str, str], Records]) -> None:
    root, environ, records = recorded
    records.respond("POST", "/flows/BeatFlow", {})
    _, run = records.respond("POST", "/flows/BeatFlow/run", {"tags": [], "system_tags": [], "user_name": USER})
    look = "import kit; run = kit.artifacts('BeatFlow').target.run; print(run.status, run.alive, run.beat is not None)"
    records.respond("POST", f"/flows/BeatFlow/runs/{run['run_number']}/heartbeat", {})
    assert python(root, look, environ).strip() == "running True True"
    run["last_heartbeat_ts"] = int(time.time()) - 3600
    assert python(root, look, environ).strip() == "running False True"


@pytest.mark.parametrize("recorded", ["local"], indirect=True)
def test_a_service_that_fails_or_refuses_is_told_in_two_lines_after_one_request(
    recorded: tuple[Path, dict[str, str], Records],
) -> None:
    root, environ, records = recorded
    for status, said in ((503, "does not answer: it answers 503"), (403, "refuses to answer (403)")):
        records.answer, before = status, len(records.requests)
        try:
            shown = python(root, FIND, environ)
        finally:
            records.answer = 0
        assert shown.startswith("ERROR StoreError The metadata service at http://127.0.0.1:"), shown
        assert said in shown
        assert "METAFLOW_SERVICE_URL" in shown
        assert len(shown.strip().splitlines()) == 2
        assert len(records.requests) == before + 1


def test_a_service_that_is_down_is_not_asked_again_and_again(tmp_path: Path) -> None:
    write_files(tmp_path, {"flows/small.py": SMALL, "pyproject.toml": "[tool.kit]\n"})
    service = {"METAFLOW_DEFAULT_METADATA": "service"}
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://anna:secret@127.0.0.1:{server.getsockname()[1]}"
        asked: list[object] = []

        def hang_up() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                asked.append(connection)
                connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        shown = python(tmp_path, FIND, {**service, "METAFLOW_SERVICE_URL": url})
        assert len(asked) == 1
    assert "does not answer" in shown
    assert "secret" not in shown
    assert "it hangs up" in shown
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert "connection refused" in python(tmp_path, FIND, {**service, "METAFLOW_SERVICE_URL": url})
    assert "METAFLOW_SERVICE_URL" in python(tmp_path, FIND, service)


@pytest.mark.kernel
@pytest.mark.parametrize("recorded", ["local"], indirect=True)
def test_a_notebook_lists_completes_and_says_that_the_service_is_down(
    recorded: tuple[Path, dict[str, str], Records], start_kernel: Any
) -> None:
    root, environ, records = recorded
    kernel = start_kernel(root / "notebooks", **environ)
    kernel.check("%load_ext kit")
    assert "SmallFlow" in kernel.check("%mf_artifacts").text
    shown = kernel.check("%mf_artifacts SmallFlow").text
    run = shown.split("SmallFlow/")[1].split()[0]
    assert f"SmallFlow/{run}" in kernel.complete("%mf_artifacts SmallFlow/")
    assert "words" in kernel.complete(f"%mf_artifacts SmallFlow/{run}/join w")
    records.answer = 503
    try:
        down = kernel.run("%mf_artifacts SmallFlow")
        assert kernel.complete("%mf_artifacts SmallFlow/x") == []
    finally:
        records.answer = 0
    assert down.error.startswith("StoreError")
    assert "Traceback" not in down.traceback
