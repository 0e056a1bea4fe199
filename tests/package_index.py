"""A package index on this machine."""

from __future__ import annotations

import functools
import http.server
from pathlib import Path


class Index(http.server.ThreadingHTTPServer):
    """A package index on this machine, whose first answers get lost; `visits` counts the requests."""

    def __init__(self, wheels: Path, lost: int) -> None:
        self.visits = 0
        index = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                index.visits += 1
                if index.visits <= lost:
                    self.close_connection = True
                elif self.path.startswith("/simple/alpha-dist/"):
                    links = "".join(f'<a href="/{wheel.name}">{wheel.name}</a>' for wheel in wheels.glob("alpha*"))
                    self.send_response(200)
                    self.send_header("Content-Type", "text/html")
                    self.end_headers()
                    self.wfile.write(links.encode())
                else:
                    super().do_GET()

            def log_message(self, *_arguments: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(wheels)))
