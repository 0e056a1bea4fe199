"""What a replay leaves behind: nothing. And what a step may do to its process, which in a replay is not its own."""

from __future__ import annotations

import gc
import hashlib
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support import run_flow, write_files

import kit

# pytest-timeout's own alarm would be in the way of the steps' alarms.
pytestmark = [pytest.mark.flow, pytest.mark.timeout(300, method="thread")]

# Each function is a body of the step `work`: what a step may do to the process that it runs in.
BODIES = '''
    import asyncio
    import faulthandler
    import functools
    import locale
    import logging
    import multiprocessing
    import os
    import random
    import signal
    import subprocess
    import sys
    import tempfile
    import threading
    import time
    import warnings
    from concurrent.futures import ProcessPoolExecutor

    import common


    if os.environ.get("AT_LOAD"):
        random.seed(int(os.environ["AT_LOAD"]))
        os.environ["LOADED"] = "yes"
        logging.getLogger("at.load").addHandler(logging.StreamHandler(sys.stdout))
        signal.signal(signal.SIGUSR1, common.handler)


    def nothing(self):
        pass


    def see_what_loading_did(self):
        self.seen = random.random(), os.environ["LOADED"], signal.getsignal(signal.SIGUSR1).__name__
        logging.getLogger("at.load").warning("once")


    def everything(self):
        """Change whatever a process has."""
        import decimal

        import numpy

        os.environ["HANDS"] = "dirty"
        os.environ["TZ"] = "Asia/Tokyo"
        time.tzset()
        os.environ.pop("USERNAME", None)
        os.chdir(tempfile.gettempdir())
        os.umask(0o077)
        sys.argv.append("dirty")
        sys.path.insert(0, "/dirty")
        sys.meta_path.insert(0, common.Finder())
        sys.path_hooks.append(common.Finder)
        sys.setrecursionlimit(5000)
        sys.excepthook = sys.unraisablehook = sys.displayhook = threading.excepthook = print
        warnings.simplefilter("error")
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM, signal.SIGINT, signal.SIGRTMIN):
            signal.signal(number, common.handler)
        signal.setitimer(signal.ITIMER_REAL, 1000, 1)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
        logging.root.setLevel(logging.DEBUG)
        logging.root.addHandler(logging.StreamHandler())
        logging.getLogger("hands").addHandler(logging.StreamHandler())
        logging.getLogger("before").setLevel(logging.DEBUG)
        logging.disable(logging.INFO)
        locale.setlocale(locale.LC_ALL, "C.UTF-8")
        tempfile.tempdir = "/dirty"
        random.seed(1)
        numpy.random.seed(1)
        numpy.seterr(all="raise")
        numpy.set_printoptions(precision=1)
        decimal.getcontext().prec = 3
        multiprocessing.set_start_method("spawn")
        faulthandler.disable()
        sys.modules["common"] = None
        sys.modules["stand_in"] = object()
        self.done = True


    def exit_nothing(self):
        sys.exit()

    def exit_zero(self):
        sys.exit(0)

    def exit_three(self):
        sys.exit(3)

    def exit_text(self):
        sys.exit("no data")

    def os_exit(self):
        os._exit(0)

    def abort(self):
        os.abort()

    def kill(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def terminate(self):
        os.kill(os.getpid(), signal.SIGTERM)

    def stop(self):
        os.kill(os.getpid(), signal.SIGSTOP)

    def kill_group(self):
        os.killpg(os.getpgrp(), signal.SIGTERM)

    def kill_parent(self):
        os.kill(os.getppid(), signal.SIGTERM)

    def raise_signal(self):
        signal.raise_signal(signal.SIGTERM)

    def pthread_kill(self):
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    def execute(self):
        os.execv(sys.executable, [sys.executable, "-c", "pass"])

    def alarm(self):
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        time.sleep(20)

    def swallow(self):
        try:
            os._exit(4)
        except:
            pass

    def exit_in_thread(self):
        thread = threading.Thread(target=os._exit, args=(5,))
        threading.excepthook = lambda *args: None
        thread.start()
        thread.join()

    def exit_in_common(self):
        common.leave()


    def harmless(self):
        """Signals that end nobody."""
        got = []
        signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
        os.kill(os.getpid(), signal.SIGTERM)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.raise_signal(signal.SIGHUP)
        os.kill(os.getpid(), 0)
        os.kill(os.getpid(), signal.SIGWINCH)
        self.got = [int(number) for number in got]


    def child_processes(self):
        """Fork, subprocess, pools that fork and that spawn; children that end themselves."""
        child = os.fork()
        if child == 0:
            os._exit(7)
        self.forked = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sleeper = subprocess.Popen(["sleep", "60"])
        sleeper.kill()
        self.killed = sleeper.wait()
        quitter = multiprocessing.get_context("fork").Process(target=os._exit, args=(3,))
        quitter.start()
        quitter.join()
        self.quitter = quitter.exitcode
        with multiprocessing.get_context("fork").Pool(2) as pool:
            self.squares = pool.map(common.square, range(4))
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            self.cubes = list(pool.map(cube, range(3)))
            self.spawned = pool.submit(os.getpid).result() != os.getpid()


    def cube(x):
        return x ** 3


    def fork_exits_by_signal(self):
        child = os.fork()
        if child == 0:
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            while True:
                time.sleep(1)
        self.forked = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


    def forked_children_that_come_out(self):
        self.statuses = []
        for end in (lambda: None, lambda: sys.exit(6), lambda: common.fail(8)):
            child = os.fork()
            if child == 0:
                end()
                return
            self.statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


    def coroutines(self):
        async def answer():
            await asyncio.sleep(0)
            return 42

        loop = asyncio.get_event_loop()
        self.answers = [loop.run_until_complete(answer()), asyncio.run(answer())]
        loop.close()


    def nested(self):
        import kit

        print("outer")
        inner = kit.run_step("HandsFlow/work", {"what": "speak"})
        self.inner = inner.stdout
        self.still = os.environ.get("HANDS")
        print("outer again")


    def nested_in_a_thread(self):
        import kit

        def replay():
            try:
                kit.run_step("HandsFlow/work", {"what": "speak"})
            except kit.KitError as error:
                self.refused = str(error)

        thread = threading.Thread(target=replay)
        thread.start()
        thread.join(30)


    def speak(self):
        print("spoken")
        print("aside", file=sys.stderr)


    def write_bytes(self):
        print("text", end=" ")
        sys.stdout.buffer.write("b\\u00fctes\\n".encode())
        sys.stdout.flush()


    def log(self):
        logging.getLogger("of.common").warning("logged")


    def leave_a_thread(self):
        threading.Thread(target=common.speak_later, args=(sys.stdout,)).start()


    def unseeded(self):
        import numpy

        self.numbers = random.random(), float(numpy.random.rand())


    def choose_spawn(self):
        multiprocessing.set_start_method("spawn")
        self.method = multiprocessing.get_start_method()


    def add_handler(self):
        logger = logging.getLogger("of.the.step")
        logger.addHandler(logging.StreamHandler(sys.stdout))
        logger.warning("once")


    def fail(self):
        x = 5
        common.fail(x)

    def chain(self):
        try:
            common.fail(1)
        except ValueError as error:
            raise KeyError("chained") from error

    def context(self):
        try:
            self.missing_artifact
        except AttributeError:
            raise KeyError("in the handling")

    def group(self):
        errors = []
        for i in range(2):
            try:
                common.fail(i)
            except ValueError as error:
                errors.append(error)
        raise ExceptionGroup("several", errors)

    def broken_module(self):
        import broken

    def frozen(self):
        raise common.Frozen("cold")

    def interrupt(self):
        raise KeyboardInterrupt

    def wrong_next(self):
        self.next(self.start)

    def unpicklable(self):
        self.lock = threading.Lock()
'''

HANDS = (
    BODIES
    + """
    from metaflow import FlowSpec, Parameter, card, catch, step, timeout, user_step_decorator


    @user_step_decorator
    def checked(name, flow, inputs=None, attributes=None):
        if getattr(flow, "what", "") == "decorator":
            raise RuntimeError("in the decorator")
        yield


    class HandsFlow(FlowSpec):
        what = Parameter("what", default="nothing")

        @checked
        @step
        def start(self):
            self.before = 1
            body = globals().get(self.what)
            if body:
                body(self)
            self.next(self.work)

        @step
        def work(self):
            body = globals().get(self.what)
            if body:
                body(self)
            self.next(self.caught)

        @catch(var="problem")
        @step
        def caught(self):
            body = globals().get(self.what)
            if body:
                body(self)
            self.next(self.limited)

        @timeout(seconds=1)
        @step
        def limited(self):
            if self.what == "sleep":
                time.sleep(30)
            self.next(self.end)

        @card
        @step
        def end(self):
            pass


    if __name__ == "__main__":
        HandsFlow()
"""
)

COMMON = '''
    import dataclasses
    import logging
    import os
    import sys
    import time

    handler_of_all = logging.StreamHandler()
    logging.getLogger("of.common").addHandler(handler_of_all)


    @dataclasses.dataclass(frozen=True)
    class Frozen(Exception):
        """An exception that does not let its attributes be set."""

        text: str


    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            return None

        def __init__(self, *args):
            if args:
                raise ImportError


    def handler(number, frame):
        pass


    def fail(x):
        raise ValueError(f"{x} is wrong")


    def leave():
        os._exit(9)


    def square(x):
        return x * x


    def speak_later(stream):
        time.sleep(0.3)
        print("late", file=stream)
'''


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one run."""
    root = tmp_path_factory.mktemp("hands") / "project"
    write_files(root, {"flows/hands.py": HANDS, "flows/common.py": COMMON, "pyproject.toml": "[tool.kit]\n"})
    write_files(root, {"flows/broken.py": "x = (\n"})
    run_flow(root / "flows" / "hands.py", cwd=root)
    return root


@pytest.fixture(autouse=True)
def _inside(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(recorded)
    monkeypatch.syspath_prepend(str(recorded / "flows"))
    yield
    sys.modules.pop("common", None)
    logging.getLogger("of.common").handlers.clear()


def work(what: str, step: str = "work") -> Any:
    return kit.run_step(f"HandsFlow/{step}", {"what": what})


def tree(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def state() -> dict[str, Any]:
    """What a process has, as far as a step may change it."""
    import decimal
    import locale
    import multiprocessing

    import metaflow
    import numpy

    current = metaflow.current
    loggers = [logging.root, *(logging.getLogger(name) for name in ("hands", "before", "of.the.step"))]
    return {
        "environment": dict(os.environ),
        "zone": time.tzname,
        "folder": os.getcwd(),
        "argv": list(sys.argv),
        "path": list(sys.path),
        "imports": [list(sys.meta_path), list(sys.path_hooks)],
        "recursion": sys.getrecursionlimit(),
        "hooks": [sys.excepthook, sys.unraisablehook, sys.displayhook, sys.breakpointhook, threading.excepthook],
        "streams": [sys.stdin, sys.stdout, sys.stderr],
        "warnings": list(warnings.filters),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "timer": signal.getitimer(signal.ITIMER_REAL),
        "logging": [(logger.level, list(logger.handlers), logger.disabled) for logger in loggers],
        "disabled": logging.root.manager.disable,
        "locale": locale.setlocale(locale.LC_ALL),
        "temporary": tempfile.tempdir,
        "random": random.getstate(),
        "numpy": [tuple(map(str, numpy.random.get_state())), numpy.geterr(), numpy.get_printoptions()],
        "decimal": decimal.getcontext().prec,
        "processes": multiprocessing.get_start_method(allow_none=True),
        "main": sys.modules["__main__"],
        "functions": [os._exit, os.kill, os.abort, signal.raise_signal, threading.Thread.start],
        "current": [current.run_id, current.step_name, current.is_running_flow, hasattr(current, "card")],
        "client": [metaflow.get_namespace(), metaflow.get_metadata()],
        "threads": threading.enumerate(),
        "files": sorted(os.listdir("/proc/self/fd")),
        "leftovers": [name for name in os.listdir(tempfile.gettempdir()) if name.startswith(("kit", "metaflow_"))],
    }


def test_step_that_changes_everything_leaves_the_process_as_it_was(recorded: Path) -> None:
    work("nothing")  # drops a common.py of another test's project
    import common

    logging.getLogger("before").setLevel(logging.ERROR)
    before, files = state(), tree(recorded)
    mask = os.umask(0o022)
    assert work("everything").artifacts["done"]
    assert os.umask(mask) == 0o022
    now = state()
    assert {name for name in before if before[name] != now[name]} == set()
    assert sys.modules["common"] is common
    assert "stand_in" not in sys.modules
    assert tree(recorded) == files


@pytest.mark.parametrize("what", ["everything", "fail", "exit_three", "kill", "interrupt", "frozen", "alarm"])
def test_two_replays_in_a_row_leave_the_same_process(what: str, recorded: Path) -> None:
    def once() -> None:
        with suppress(Exception, KeyboardInterrupt):
            work(what)

    once()
    before, files = state(), tree(recorded)
    once()
    now = state()
    assert {name for name in before if before[name] != now[name]} == set()
    assert tree(recorded) == files


ENDS = {
    "exit_nothing": "sys.exit()",
    "exit_zero": "sys.exit(0)",
    "exit_three": "sys.exit(3)",
    "exit_text": "sys.exit('no data')",
    "os_exit": "os._exit(0)",
    "abort": "os.abort()",
    "kill": f"os.kill({os.getpid()}, SIGKILL)",
    "terminate": f"os.kill({os.getpid()}, SIGTERM)",
    "stop": f"os.kill({os.getpid()}, SIGSTOP)",
    "kill_group": "os.killpg(",
    "kill_parent": "os.kill(",
    "raise_signal": "signal.raise_signal(SIGTERM)",
    "pthread_kill": "signal.pthread_kill(",
    "execute": "os.execv(",
    "alarm": "SIGALRM, which nothing handled",
    "swallow": "os._exit(4)",
    "exit_in_thread": "os._exit(5)",
    "exit_in_common": "os._exit(9)",
}


@pytest.mark.parametrize("what", ENDS)
@pytest.mark.parametrize("step", ["work", "caught"])
def test_step_that_ends_its_process_fails_the_replay_and_names_the_line(what: str, step: str, recorded: Path) -> None:
    with pytest.raises(kit.KitError) as caught:
        work(what, step)
    file = recorded / "flows" / ("common.py" if what == "exit_in_common" else "hands.py")
    if what != "exit_in_thread":
        assert f"({file}, line " in caught.value.message
    call = ENDS[what]
    assert f"The step ended its own process: {call}" in caught.value.message
    assert "let the step return" in caught.value.hint or "raise an exception" in caught.value.hint
    assert "metaflow" not in caught.value.details
    innermost = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert what == "exit_in_thread" or innermost.filename == str(file)


def test_signals_that_a_step_handles_itself_reach_it() -> None:
    assert work("harmless").artifacts["got"] == [signal.SIGTERM]


def test_children_of_a_step_are_on_their_own() -> None:
    artifacts = work("child_processes").artifacts
    assert [artifacts[name] for name in ("forked", "killed", "quitter")] == [7, -9, 3]
    assert artifacts["squares"] == [0, 1, 4, 9]
    assert artifacts["cubes"] == [0, 1, 8]
    assert artifacts["spawned"]


def test_forked_child_dies_of_its_own_alarm() -> None:
    assert work("fork_exits_by_signal").artifacts["forked"] == -signal.SIGALRM


def test_forked_child_that_comes_out_of_the_step_ends_there() -> None:
    assert work("forked_children_that_come_out").artifacts["statuses"] == [0, 6, 1]


def test_step_runs_coroutines_also_below_a_running_loop() -> None:
    import asyncio

    async def notebook() -> list[int]:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        answers: list[int] = work("coroutines").artifacts["answers"]
        assert (asyncio.current_task(), asyncio.get_running_loop()) == (task, loop)
        await asyncio.sleep(0)
        return answers

    assert asyncio.run(notebook()) == [42, 42]


def test_replay_inside_a_replay_works_and_prints_to_both(capsys: pytest.CaptureFixture[str]) -> None:
    result = work("nested")
    assert result.artifacts["inner"] == "spoken\n"
    assert result.stdout == "outer\nspoken\nouter again\n" == capsys.readouterr().out


def test_replay_in_a_thread_of_a_step_is_refused_rather_than_waited_for() -> None:
    assert "cannot replay a step while that one runs" in work("nested_in_a_thread").artifacts["refused"]


def test_replays_from_the_threads_of_a_script_take_turns() -> None:
    before = dict(os.environ), os.getcwd(), sys.modules["__main__"], sys.stdout
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(work, ["speak", "unseeded", "speak", "nothing"]))
    assert [result.stdout for result in results] == ["spoken\n", "", "spoken\n", ""]
    assert (dict(os.environ), os.getcwd(), sys.modules["__main__"], sys.stdout) == before


def test_timeout_needs_the_main_thread_and_kit_says_so() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(kit.KitError, match="@timeout is replayed in the main thread"):
        pool.submit(work, "nothing", "limited").result()


def test_print_reaches_the_cell_before_the_step_goes_on(recorded: Path) -> None:
    code = "import kit; kit.run_step('HandsFlow/limited', {'what': 'sleep'})"
    spoken = recorded / "flows" / "hands.py"
    before = spoken.read_text()
    spoken.write_text(before.replace("time.sleep(30)", "print('at once', flush=True); input()"))
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"at once\n"
        assert process.poll() is None
    finally:
        spoken.write_text(before)
        process.kill()
        process.communicate()


def test_what_is_printed_logged_or_written_as_bytes_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    import common

    spoken = work("speak")
    assert (spoken.stdout, spoken.stderr) == ("spoken\n", "aside\n")
    assert work("write_bytes").stdout == "text bütes\n"
    common.handler_of_all.stream = sys.stderr  # pytest has another one for each test
    assert work("log").stderr == "logged\n"
    assert "logged" in capsys.readouterr().err
    assert common.handler_of_all.stream is sys.stderr


def test_thread_that_outlives_its_step_can_still_print(capsys: pytest.CaptureFixture[str]) -> None:
    result = work("leave_a_thread")
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join(10)
    assert result.stdout == ""
    assert capsys.readouterr().out == "late\n"


def test_unseeded_numbers_differ_at_each_replay_and_the_notebooks_go_on_undisturbed() -> None:
    import numpy as np

    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.rand()  # noqa: S311
    random.seed(3)
    np.random.seed(3)
    first, second = (work("unseeded").artifacts["numbers"] for _ in range(2))
    assert set(first).isdisjoint(second)
    assert (random.random(), np.random.rand()) == expected  # noqa: S311


def test_step_may_choose_how_processes_start_at_each_replay() -> None:
    assert [work("choose_spawn").artifacts["method"] for _ in range(2)] == ["spawn"] * 2


def test_handler_that_a_step_adds_prints_once_at_each_replay() -> None:
    assert [work("add_handler").stdout for _ in range(3)] == ["once\n"] * 3


def test_what_the_flow_file_does_when_it_is_loaded_holds_in_the_step_and_not_after(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AT_LOAD", "7")
    handler, state_before = signal.getsignal(signal.SIGUSR1), random.getstate()
    for _ in range(2):
        result = work("see_what_loading_did")
        assert result.artifacts["seen"] == (random.Random(7).random(), "yes", "handler")  # noqa: S311
        assert capsys.readouterr().out == "once\n"
    assert "LOADED" not in os.environ
    assert signal.getsignal(signal.SIGUSR1) is handler
    assert random.getstate() == state_before
    assert logging.getLogger("at.load").handlers == []


FAILURES = {
    "fail": (ValueError, ["hands.py", "hands.py", "common.py"]),
    "chain": (KeyError, ["hands.py", "hands.py"]),
    "context": (KeyError, ["hands.py", "hands.py"]),
    "group": (Exception, ["hands.py", "hands.py"]),
    "broken_module": (SyntaxError, ["hands.py", "hands.py"]),
    "interrupt": (KeyboardInterrupt, ["hands.py", "hands.py"]),
    "wrong_next": (Exception, ["hands.py"]),
}


def user_files(error: BaseException) -> list[str]:
    """The files of a traceback from the first one that is not kit's or this test's."""
    names = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    own = (str(Path(kit.__file__).parent), __file__)
    while names and names[0].startswith(own):
        del names[0]
    return [Path(name).name for name in names]


@pytest.mark.parametrize("what", FAILURES)
def test_traceback_of_a_failing_step_has_the_users_frames_alone(what: str) -> None:
    kind, files = FAILURES[what]
    if what == "group" and sys.version_info < (3, 11):
        kind = NameError
    with pytest.raises(kind) as caught:
        work(what)
    assert user_files(caught.value) == files
    chained = [caught.value.__cause__, caught.value.__context__, *getattr(caught.value, "exceptions", ())]
    for other in filter(None, chained):
        shown = "".join(traceback.format_exception(other))
        assert "metaflow" not in shown
        assert str(Path(kit.__file__).parent) not in shown


def test_traceback_goes_through_the_users_own_decorator_to_the_step() -> None:
    with pytest.raises(RuntimeError) as caught:
        work("decorator", "start")
    assert user_files(caught.value) == ["hands.py"]
    with pytest.raises(ValueError, match="5 is wrong") as failed:
        work("fail", "start")
    assert user_files(failed.value) == ["hands.py", "hands.py", "hands.py", "common.py"]


def test_timeout_of_metaflows_lands_on_the_line_that_took_too_long() -> None:
    with pytest.raises(Exception, match="timed out") as caught:
        work("sleep", "limited")
    assert user_files(caught.value) == ["hands.py"]
    assert traceback.extract_tb(caught.value.__traceback__)[-1].line == "time.sleep(30)"


def test_exception_that_refuses_a_traceback_still_leads_to_its_line() -> None:
    with pytest.raises(Exception, match=r"cold|cannot assign") as caught:
        work("frozen")
    # From Python 3.11 on contextlib cannot pass it on, in a real task too: it is then the context of that error.
    frozen = caught.value if type(caught.value).__name__ == "Frozen" else caught.value.__context__
    assert frozen is not None
    assert user_files(frozen)[-1] == "hands.py"


def test_what_metaflow_itself_refuses_is_raised_with_its_words() -> None:
    with pytest.raises(Exception, match="pickle"):
        work("unpicklable")


def test_interrupt_while_state_is_put_back_waits_for_it() -> None:
    from kit.replay import process

    reached: list[str] = []

    def interrupting() -> Any:
        return lambda: (signal.raise_signal(signal.SIGINT), reached.append("after"))

    keepers = process.KEEPERS
    process.KEEPERS = (*keepers, interrupting)
    before = dict(os.environ)
    try:
        with pytest.raises(KeyboardInterrupt), process.preserved():
            os.environ["HANDS"] = "dirty"
    finally:
        process.KEEPERS = keepers
    assert reached == ["after"]
    assert dict(os.environ) == before


MANY = """
import gc, sys, os
sys.path.insert(0, "flows")
import kit
import psutil

def once():
    kit.run_step("HandsFlow/work", {"what": "speak"})
    try:
        kit.run_step("HandsFlow/work", {"what": "fail"})
    except ValueError:
        pass

sys.stdout = sys.stderr = open(os.devnull, "w")
for _ in range(30):
    once()
gc.collect()
objects, size = len(gc.get_objects()), psutil.Process().memory_info().rss
for _ in range(ROUNDS):
    once()
gc.collect()
grown = psutil.Process().memory_info().rss - size
print(len(gc.get_objects()) - objects, grown / 2**20, file=sys.__stdout__)
"""


def test_many_replays_leave_no_objects_and_no_memory() -> None:
    code = MANY.replace("ROUNDS", "100")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    objects, megabytes = map(float, done.stdout.split())
    assert objects < 200  # of a replay's own there are thousands
    assert megabytes < 10
    gc.collect()
