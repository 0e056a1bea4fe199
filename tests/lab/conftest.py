"""A real JupyterLab on a copy of this project, in a headless Chromium."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import LAB_TOKEN, USER, run_flow

ROOT = Path(__file__).parents[2]
START_SECONDS = 60
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
]
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},  # cells out of sight stay in the page, to be read
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser; where there is none, the test is skipped, or fails if KIT_BROWSER=required."""
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        reason = "there is no Chromium on the PATH (Debian: apt-get install chromium)"
        if os.environ.get("KIT_BROWSER") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project's flows and notebooks, with a run of TrainFlow."""
    root = tmp_path_factory.mktemp("lab") / "digits"
    for folder in ("flows", "notebooks"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    shutil.copy(ROOT / "pyproject.toml", root)
    run_flow(root / "flows" / "train.py", "--test_mode", "1", "--max-workers", "2", cwd=root)
    return root


@pytest.fixture(scope="module")
def lab(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab that is nobody's own: its settings, workspaces and history are new."""
    home = tmp_path_factory.mktemp("jupyter")
    for name, values in SETTINGS.items():
        settings = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(json.dumps(values))
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("METAFLOW_")},
        "USERNAME": USER,
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += [f"--IdentityProvider.token={LAB_TOKEN}", f"--ServerApp.root_dir={example}"]
    command += ["--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"]
    with open(home / "lab.log", "w") as log, subprocess.Popen(command, stdout=log, stderr=log, env=environ) as server:
        try:
            _wait(address, server, home / "lab.log")
            yield address
        finally:
            server.terminate()
            server.wait(20)


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(START_SECONDS * 4):
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{address}/api?token={LAB_TOKEN}", timeout=1):  # noqa: S310  # our own server
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.25)
    pytest.fail(f"JupyterLab did not start in {START_SECONDS} s: {log.read_text()}")
