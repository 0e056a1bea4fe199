"""What a flow file's own code may do: inherit, import, print, start processes, look at itself."""

from dataclasses import replace

from matrix import foreachs, graphs
from matrix.table import Body, Graph, Row

INHERITED = Graph(
    "Inherited",
    """
    inherited = "overridden"

    @step
    def work(self):
        self.got = super().scaled(10), self.inherited, self.begun
        <work>
        self.next(self.end)
    """,
)
DERIVED = Body("Derived", head="from base import Base", base="Base", work="self.more = Base.scaled(self, 1)")

LOCAL_BASE = Graph(
    "LocalBase",
    """
    @step
    def end(self):
        <end>
    """,
)
LOCALLY_DERIVED = Body(
    "Derived",
    head="""
        class Half(FlowSpec):
            @step
            def start(self):
                self.whole = self.double(2)
                self.next(self.end)

            def double(self, x):
                return 2 * x


        class Mixin:
            def half(self, x):
                return x / 2
    """,
    base="Mixin, Half",
    end="self.part = self.half(self.whole)",
)

HELPERS = Body(
    "Helpers",
    attributes="""
        def scale(self, x):
            return x * self.factor

        @property
        def twice(self):
            return self.factor * 2

        @property
        def stored(self):
            return self.kept

        @stored.setter
        def stored(self, value):
            self.kept = value + 1

        @staticmethod
        def fixed():
            return "static"

        @classmethod
        def kind(cls):
            return cls.__name__
    """,
    start="self.factor = 3",
    work="self.scaled = self.scale(2), self.twice, self.fixed(), self.kind(); self.stored = 5",
    end="self.read = self.stored, self.twice",
)

IMPORTING = Body(
    "Importing",
    work="""
        import json

        import late

        self.late = late.VALUE, json.dumps({"a": 1}), late.__name__
    """,
    end="import late as again; self.again = again.VALUE",
)

PRINTING = Body(
    "Printing",
    head="import logging\nimport os\nimport sys\nimport warnings",
    work="""
        print("to stdout", flush=True)
        print("to stderr", file=sys.stderr)
        sys.stdout.write("without an end of line")
        os.write(1, b"straight to the file")
        logging.getLogger("matrix").warning("logged")
        warnings.warn("warned")
        self.printed = sys.stdout.encoding.lower(), sys.stdout.isatty()
    """,
)

PROCESSES = Body(
    "Processes",
    head="""
        import concurrent.futures
        import multiprocessing
        import subprocess
        import sys
        import threading


        def square(x):
            return x * x
    """,
    work="""
        self.child = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True).stdout
        self.threaded = []
        threads = [threading.Thread(target=self.threaded.append, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
            thread.join()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            self.mapped = list(pool.map(square, range(4)))
        with multiprocessing.get_context("fork").Pool(2) as pool:
            self.squares = pool.map(square, range(4))
    """,
)

MAPPED = Body(
    "Mapped",
    head="from metaflow import parallel_map",
    work="self.doubled = parallel_map(lambda x: 2 * x, [1, 2, 3], max_parallel=2)",
)

WARMED = Body(
    "Warmed",
    head="import sys\n\nCOUNT = [0]",
    main="COUNT[0] += 1\nPREPARED = 'before the flow'\nsys.setrecursionlimit(2000)",
    work="self.prepared = PREPARED, COUNT, sys.getrecursionlimit(), __name__",
)

FUTURE = Body(
    "Future",
    future="from __future__ import annotations",
    head="""
        import dataclasses


        @dataclasses.dataclass
        class Later:
            other: Later | None = None
            names: list[str] = dataclasses.field(default_factory=list)
    """,
    work="self.later = Later(Later(), ['a']); self.kinds = [f.type for f in dataclasses.fields(Later)]",
)

PATHS = Body(
    "Paths",
    head="import inspect\nimport os\nimport pathlib\nimport sys",
    work="""
        with open("data/words.txt", encoding="utf-8") as file:
            self.words = file.read().split()
        self.data = sorted(os.listdir("data"))
        self.here = os.getcwd(), os.path.abspath(__file__), os.path.basename(sys.argv[0])
        self.beside = sorted(path.name for path in pathlib.Path(__file__).parent.glob("base*.py"))
        self.folder = os.path.abspath(sys.path[0])
        self.code = inspect.getsource(type(self)).splitlines()[0], inspect.getfile(type(self))
    """,
    end="self.exists = pathlib.Path('data').is_dir()",
)

EXITING = Body(
    "Handlers",
    head="import atexit\nimport gc\nimport locale\nimport signal\nimport sys",
    work="""
        self.default = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, sys.flags.dev_mode
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.path.insert(0, "/nowhere")
        self.main = sys.modules["__main__"].__dict__.get("LinearHandlers") is type(self)
    """,
)

COMPUTED = Body(
    "Computed",
    head="import functools\nimport math",
    work="""
        cache = functools.lru_cache(None)(lambda x: x * 2)
        self.made = [cache(i) for i in range(3)], {k: v for k, v in zip("ab", range(2))}
        for name in ("first", "second"):
            setattr(self, name, math.factorial(len(name)))
        exec("self.executed = 3")
        self.names = sorted(name for name in vars(self) if not name.startswith("_"))
    """,
)

TEMPORARY = Body(
    "Temporary",
    head="import os\nimport tempfile",
    work="""
        with tempfile.TemporaryDirectory(dir=current.tempdir) as folder:
            with open(os.path.join(folder, "x"), "w") as file:
                file.write("text")
            self.size = os.path.getsize(os.path.join(folder, "x"))
        self.temporary = current.tempdir
    """,
)

CLIENT = Body(
    "Client",
    head="from metaflow import Flow, Run, Step, get_metadata, get_namespace, namespace",
    start="self.value = 5",
    work="""
        run = Run(f"{current.flow_name}/{current.run_id}")
        self.read = run["start"].task.data.value, Step(f"{run.pathspec}/start").task.finished
        self.latest = Flow(current.flow_name).latest_run.id == current.run_id
        self.namespaces = get_namespace(), get_metadata().split("@")[0]
        namespace("user:nobody")
    """,
)

FLOW_ITSELF = Body(
    "Itself",
    work="""
        self.steps = sorted(current.graph["steps"]), current.graph["start_step"], self._graph_info["file"]
        self.own = self.name, str(self), [node for node in sorted(current.graph_info["steps"])]
        self.flow_doc = type(self).__doc__, type(self).__qualname__, type(self).__module__
    """,
    attributes='"""A documented flow."""',
)

LINEAR_BODIES = (
    *(HELPERS, IMPORTING, PRINTING, PROCESSES, MAPPED, WARMED, FUTURE, PATHS, EXITING, COMPUTED, TEMPORARY),
    *(CLIENT, FLOW_ITSELF),
)

ROWS = (
    Row(INHERITED, DERIVED),
    Row(LOCAL_BASE, LOCALLY_DERIVED),
    *(Row(graphs.LINEAR, body) for body in LINEAR_BODIES),
    Row(graphs.BRANCH, replace(HELPERS, join="self.stored = inputs.left.stored", end="self.read = self.stored")),
    Row(foreachs.FOREACH, PROCESSES),
)
