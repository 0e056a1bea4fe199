"""A flow whose step does to its process what it is told to."""

from __future__ import annotations

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
