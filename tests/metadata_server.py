"""The API of Metaflow's metadata service, on this machine: real HTTP, and a dict where the service has Postgres.

The service itself is on no package index, so this stands in for it: ids are numbers that it gives out, as there, and
records have the fields that it answers with. Metaflow's runs register with it, and Metaflow's client reads from it.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

VERSION = "2.5.0"
LISTS = {"flows", "runs", "steps", "tasks"}


class Records:
    """What the service knows, by the path of each object.

    Args:
        answer: A status to answer everything with; 0 for what is asked.
    """

    def __init__(self) -> None:
        self.answer = 0
        self.requests: list[str] = []
        self._objects: dict[str, dict[str, Any]] = {}
        self._rows: dict[str, list[dict[str, Any]]] = {}  # of a task: metadata, and artifacts
        self._ids, self._lock = count(1), threading.Lock()

    def respond(self, method: str, url: str, body: Any) -> tuple[int, Any]:
        """Answer a request: a status, and what is sent as JSON."""
        path, query = urlsplit(url).path.rstrip("/"), parse_qs(urlsplit(url).query)
        with self._lock:
            self.requests.append(f"{method} {path}")
            if self.answer:
                return self.answer, {"message": "no"}
            return {"GET": self._get, "POST": self._post, "PATCH": self._patch}[method](path, body, query)

    def _get(self, path: str, _body: Any, query: dict[str, list[str]]) -> tuple[int, Any]:
        above, _, last = path.rpartition("/")
        if last in LISTS:
            return 200, [found for name, found in self._objects.items() if name.rpartition("/")[0] == path]
        if last == "metadata":
            return 200, self._rows.get(path, [])
        if last == "artifacts":
            task, given, attempt = above.partition("/attempt/")
            rows = self._rows.get(f"{task}/artifacts", [])
            wanted = int(attempt) if given else max((row["attempt_id"] for row in rows), default=0)
            return 200, [row for row in rows if row["attempt_id"] == wanted]
        if last == "filtered_tasks":
            return 200, self._filtered(f"{above}/tasks", query)
        found = self._objects.get(path) or self._artifact(path)
        return (200, found) if found else (404, {})

    def _artifact(self, path: str) -> dict[str, Any] | None:
        task, _, rest = path.partition("/artifacts/")
        name, given, attempt = rest.partition("/attempt/")
        rows = [row for row in self._rows.get(f"{task}/artifacts", []) if row["name"] == name]
        rows = [row for row in rows if not given or row["attempt_id"] == int(attempt)]
        return rows[-1] if rows else None

    def _filtered(self, tasks: str, query: dict[str, list[str]]) -> list[str]:
        found = []
        for path, record in self._objects.items():
            if path.rpartition("/")[0] == tasks:
                rows = self._rows.get(f"{path}/metadata", [])
                fields = query.get("metadata_field_name")
                pattern = query.get("pattern", [""])[0]
                known = [row for row in rows if not fields or row["field_name"] in fields]
                if not pattern or any(re.search(pattern, str(row["value"])) for row in known):
                    ids = (record[key] for key in ("flow_id", "run_number", "step_name", "task_id"))
                    found.append("/".join(map(str, ids)))
        return found

    def _post(self, path: str, body: Any, _query: Any) -> tuple[int, Any]:
        above, _, last = path.rpartition("/")
        if last == "heartbeat":
            self._objects[above]["last_heartbeat_ts"] = int(time.time())
            return 200, json.dumps({"wait_time_in_seconds": 10})  # a text that holds JSON, as there
        if last in ("metadata", "artifact"):
            rows = self._rows.setdefault(path if last == "metadata" else f"{path}s", [])
            rows += [{**self._address(above), "ts_epoch": _now(), **row} for row in body]
            return 200, {f"{last}s_created": len(body)}
        key = {"run": "run_number", "task": "task_id"}.get(last)
        if key:
            body = {**body, key: body.get(key) or next(self._ids), "last_heartbeat_ts": None}
            path = f"{path}s/{body[key]}"
        elif last == "step":
            path = above
        if path in self._objects:
            return 409, {}
        given = {name: body.get(name) for name in ("user_name", "tags", "system_tags", "last_heartbeat_ts")}
        self._objects[path] = {**self._address(path), "ts_epoch": _now(), **given}
        return 200, self._objects[path]

    def _patch(self, path: str, body: Any, _query: Any) -> tuple[int, Any]:
        run = self._objects[path.removesuffix("/tag/mutate")]
        kept = {*run["tags"], *body["tags_to_add"]} - set(body["tags_to_remove"])
        run["tags"] = sorted(kept)
        return 200, {"tags": run["tags"]}

    def _address(self, path: str) -> dict[str, Any]:
        _, *parts = path.split("/")
        names = {"flows": "flow_id", "runs": "run_number", "steps": "step_name", "tasks": "task_id"}
        pairs = zip(parts[::2], parts[1::2], strict=True)
        return {names[kind]: int(name) if name.isdigit() else name for kind, name in pairs}


def _now() -> int:
    return int(time.time() * 1000)


@contextmanager
def metadata_server() -> Iterator[tuple[dict[str, str], Records]]:
    """Start a service that knows nothing yet; gives the environment in which Metaflow uses it, and its records."""
    records = Records()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/ping":
                status, answer = 200, "pong"
            else:
                status, answer = records.respond(self.command, self.path, json.loads(text or b"null"))
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("METADATA_SERVICE_VERSION", VERSION)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = _answer  # noqa: N815

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield {"METAFLOW_DEFAULT_METADATA": "service", "METAFLOW_SERVICE_URL": url}, records
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
