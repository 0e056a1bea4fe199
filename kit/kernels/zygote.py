"""A fork server for Jupyter kernels: what every kernel imports is imported once, and each kernel is a fork of that.

Run as a file by the interpreter whose kernels it forks, `python zygote.py FD MODULE ...`: FD is a socket to the
process that wants kernels, MODULEs are what to import. It uses the standard library alone, and ends with that process.

A request is a length, JSON {argv, env, cwd} and four file descriptors: a socket, stdin, stdout and stderr. The answers
on that socket are lines: `P<pid>` a kernel was forked, `R` its sockets are bound, `X<status>` it has ended; or `S` what
was imported is no longer what is installed, `E<why>` nothing can be forked here.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import selectors
import signal
import socket
import struct
import sys
import threading
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
# What this process alone has in its environment, as it imports.
OWN = {
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "OPENBLAS_THREAD_TIMEOUT": "20",  # 2^20 cycles: idle threads of numpy's BLAS would else keep a core busy for 30 ms
}
PATIENCE = 10.0  # seconds for a request whose length has come already


def main() -> None:
    """Import the modules, then fork a kernel for each request until the other end is closed."""
    _forget_own_folder()
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    initial, before = _initial_environment(), dict(os.environ)
    preload = _beside("preload")
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # as ipykernel does
    for name, value in OWN.items():
        os.environ.setdefault(name, value)
    gc.disable()  # nothing of what is imported will be garbage
    why = preload.import_all(sys.argv[2:], initial)
    for name in [name for name in sys.modules if name.partition(".")[0] == "kit"]:
        del sys.modules[name]  # Metaflow's extension imports it; a kernel is to see its edits
    for name in OWN.keys() - before.keys():
        del os.environ[name]
    added = {name: value for name, value in os.environ.items() if before.get(name) != value}
    site = {name: before.get(name) for name in {**initial, **before} if before.get(name) != initial.get(name)}
    preload.warm_up_figures()
    preload.forget_inline_backend()
    gc.enable()
    gc.freeze()  # the collector would write to every page that the kernels share
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    Server(control, added, site, why, preload.stamp).serve()


def _initial_environment() -> dict[str, str]:
    """Read the environment that this process was started with: its site-packages may have changed it since."""
    with open("/proc/self/environ", "rb") as file:
        pairs = (pair.partition(b"=") for pair in file.read().split(b"\0") if b"=" in pair)
        return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def _beside(name: str) -> Any:
    """Load the module of a file beside this one, without a trace in sys.path or sys.modules."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"kit_{name}", path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]  # there is one for a .py file
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def _forget_own_folder() -> None:
    """Take this file's folder from sys.path: a fresh kernel has none in its place, until IPython puts "" there."""
    if sys.path and os.path.realpath(sys.path[0]) == os.path.dirname(os.path.realpath(__file__)):
        del sys.path[0]


# -------------------------------------------------------------------- the server


class Server:
    """Forks kernels, tells how they end, and leaves no process behind.

    Args:
        control: Where requests come from; its end is the end of everything.
        added: Environment variables that the imports have set.
        site: Those that an interpreter sets as it starts, by its locale and its site-packages; None: it deletes them.
        why: Why nothing can be forked, "" where it can.
        stamp: Tells the state of what was imported.
    """

    def __init__(
        self,
        control: socket.socket,
        added: dict[str, str],
        site: dict[str, str | None],
        why: str,
        stamp: Callable[[], object],
    ) -> None:
        self._control, self._added, self._site, self._why = control, added, site, why
        self._kernels: dict[int, socket.socket | None] = {}  # None: the one who wanted it has gone
        self._orphans: dict[int, set[int]] = {}  # processes left by kernels: the kernels that may have left them
        self._now = stamp
        self._stamp = stamp()
        self._stale = False
        self._selector = selectors.DefaultSelector()
        self._ended, self._wakeup = os.pipe()

    def serve(self) -> None:
        """Answer requests until the other end is closed."""
        for fd in (self._ended, self._wakeup):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._selector.register(self._control, selectors.EVENT_READ, self._on_request)
        self._selector.register(self._ended, selectors.EVENT_READ, self._on_child_ended)
        try:
            while not (self._stale and not self._kernels):
                for key, _ in self._selector.select():
                    key.data()
        except (EOFError, OSError):
            pass
        finally:
            if os.getpid() == self._pid:
                self._end_all()

    _pid = os.getpid()

    def _on_request(self) -> None:
        request, fds = _receive(self._control)
        kernel, *streams = fds
        connection = socket.socket(fileno=kernel)
        self._stale = self._stale or self._now() != self._stamp
        if self._why or self._stale:
            _answer(connection, f"E{self._why}" if self._why else "S")
            connection.close()
        else:
            with warnings.catch_warnings():  # Python counts the threads of native libraries, which see to forks
                warnings.simplefilter("ignore")
                pid = os.fork()
            if pid == 0:
                self._become_kernel(request, connection, streams)
            _answer(connection, f"P{pid}")
            self._kernels[pid] = connection
            self._selector.register(connection, selectors.EVENT_READ, lambda: self._on_hang_up(pid, connection))
        for fd in streams:
            os.close(fd)

    def _on_hang_up(self, pid: int, connection: socket.socket) -> None:
        """End a kernel that nobody wants any more."""
        self._selector.unregister(connection)
        connection.close()
        if self._kernels.get(pid) is connection:
            self._kernels[pid] = None
            _kill_group(pid)

    def _on_child_ended(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._ended, 4096)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                if ended.si_pid in self._kernels:
                    _kill_group(ended.si_pid)  # as long as it is not reaped its number is its own
                _, status = os.waitpid(ended.si_pid, 0)
                self._on_reaped(ended.si_pid, status)
        self._end_orphans()

    def _on_reaped(self, pid: int, status: int) -> None:
        self._orphans.pop(pid, None)
        if pid not in self._kernels:
            return
        self._note_orphans()
        connection = self._kernels.pop(pid)
        for suspects in self._orphans.values():
            suspects.discard(pid)
        if connection is not None:
            self._selector.unregister(connection)
            _answer(connection, f"X{status}")
            connection.close()

    def _note_orphans(self) -> None:
        """Remember the processes whose parents have gone: this process has inherited them."""
        for pid in _children() - set(self._kernels):
            self._orphans.setdefault(pid, set(self._kernels))

    def _end_orphans(self) -> None:
        """End the processes that were left by kernels that have all ended."""
        for pid in [pid for pid, suspects in self._orphans.items() if not suspects]:
            _kill(pid)

    def _end_all(self) -> None:
        for pid in list(self._kernels):
            _kill_group(pid)
        with contextlib.suppress(ChildProcessError):
            while True:  # each one's own children come here in their turn
                for pid in _children():
                    _kill(pid)
                os.wait()

    # ---------------------------------------------------------------- in the child

    def _become_kernel(self, request: dict[str, Any], connection: socket.socket, streams: list[int]) -> None:
        """Be the kernel from here on; never returns."""
        status = 1
        try:
            server = self._pid
            self._selector.close()
            self._control.close()
            for other in self._kernels.values():
                if other is not None:
                    other.close()
            signal.set_wakeup_fd(-1)
            os.close(self._ended)
            os.close(self._wakeup)
            environ = {**self._added, **request["env"], **self._site, "JPY_PARENT_PID": str(server)}
            _become_fresh(request, environ, streams, server)
            status = _run_kernel(request["argv"], connection, server)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:
            import traceback

            traceback.print_exc(file=sys.__stderr__)
        finally:
            _exit(status)


def _become_fresh(request: dict[str, Any], environ: dict[str, str | None], streams: list[int], server: int) -> None:
    """Put this process into the state in which a new interpreter would be."""
    os.setsid()
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:  # it ended before the line above
        os._exit(1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for target, fd in enumerate(streams):
        os.dup2(fd, target)
    for fd in streams:
        if fd > 2:
            os.close(fd)
    os.environ.clear()
    os.environ.update({name: value for name, value in environ.items() if value is not None})
    os.chdir(request["cwd"])
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()  # the standard library's own generator sees to itself
    launcher = importlib.util.find_spec("ipykernel_launcher")
    sys.argv = [str(launcher.origin) if launcher else "ipykernel_launcher.py", *request["argv"]]
    sys.orig_argv[:] = request["command"]
    main_module = ModuleType("__main__")
    main_module.__dict__["__builtins__"] = sys.modules["builtins"]
    sys.modules["__main__"] = main_module
    importlib.invalidate_caches()
    if any(os.environ.get(name) for name in ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")):
        with contextlib.suppress(ImportError):
            import coverage

            coverage.process_startup()  # as its .pth file does where an interpreter starts


def _run_kernel(argv: list[str], connection: socket.socket, server: int) -> int:
    """Run a kernel to its end; gives its exit status."""
    from ipykernel.kernelapp import IPKernelApp

    app: Any = IPKernelApp.instance(parent_handle=server)  # its default was read from the server's own environment
    app.initialize(argv)
    _answer(connection, "R")
    connection.close()
    app.start()
    import atexit

    atexit.unregister(app.close)  # closing sockets in order can stall for seconds; the process closes them all
    return 0


def _exit(status: int) -> None:
    """Do what an interpreter does at its end, but for taking every object apart."""
    try:
        import atexit

        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            if stream is not None:
                stream.flush()
    except BaseException:
        status = status or 1
    finally:
        os._exit(status)


# -------------------------------------------------------------------- the system


def _receive(control: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Receive a request; EOFError where there will be none."""
    head, fds, _, _ = socket.recv_fds(control, 4, 4)
    for fd in fds:
        os.set_inheritable(fd, False)
    if len(head) < 4 or len(fds) < 4:
        raise EOFError
    (length,) = struct.unpack("!I", head)
    content = b""
    control.settimeout(PATIENCE)
    while len(content) < length:
        part = control.recv(length - len(content))
        if not part:
            raise EOFError
        content += part
    control.settimeout(None)
    return json.loads(content), list(fds)


def _answer(connection: socket.socket, line: str) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        connection.sendall(f"{line}\n".encode())


def _children() -> set[int]:
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                parent = file.read().rpartition(")")[2].split()[1]
        except OSError:  # it has just ended
            continue
        if int(parent) == os.getpid():
            found.add(int(name))
    return found


def _kill(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:  # it has not made its group yet
        _kill(pid)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(AttributeError, OSError, ImportError):
        import ctypes

        ctypes.CDLL(None).prctl(option, value)


if __name__ == "__main__":
    main()
