"""An S3 server on this machine (moto's), reached by real HTTP; answers can be delayed, as a network delays them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

BUCKET = "kit-tests"


class Delayed:
    """Answers each request as an application does, later.

    Args:
        application: The application.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application, self.seconds = application, 0.0
        self.now, self.most = 0, 0  # requests that are being answered, and the most of them at a time
        self.asked: list[str] = []  # the paths of all requests
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.asked.append(environ["PATH_INFO"])
        try:
            time.sleep(self.seconds)
            return self.application(environ, start_response)
        finally:
            with self._lock:
                self.now -= 1


@contextmanager
def s3_server() -> Iterator[tuple[dict[str, str], Delayed]]:
    """Start a server with an empty bucket; gives the environment in which Metaflow uses it, and its delay."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_request(self, *_args: Any) -> None:
            pass

    delayed = Delayed(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, delayed, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    environ = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DATASTORE_SYSROOT_S3": f"s3://{BUCKET}/metaflow",
        "METAFLOW_S3_ENDPOINT_URL": url,
    }
    try:
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",  # noqa: S106
        )
        client.create_bucket(Bucket=BUCKET)
        yield environ, delayed
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
