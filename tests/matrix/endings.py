"""Runs that did not go well: failed tasks, killed tasks, runs that were resumed."""

from matrix import foreachs, graphs, switches
from matrix.identity import NOTE
from matrix.table import Body, Launch, Row

FAILS = (Launch(succeeds=False),)
IN_TURN = "--max-workers", "1"  # else Metaflow ends the tasks beside the one that failed, at any point
FAILS_IN_TURN = (Launch(IN_TURN, succeeds=False),)

FAILED = Body("Failed", start=NOTE, work='self.before = [1]\nraise ValueError("no", 5)')
FAILED_START = Body("Failed", work="self.before = [1]\nraise KeyError('absent')")
FAILED_SOME = Body("FailedSome", work="self.got = 12 // (self.input - 4)")
FAILED_OWN = Body(
    "FailedOwn",
    head="""
        class Refused(Exception):
            def __init__(self, reason, code):
                super().__init__(f"{reason} ({code})")
    """,
    work='raise Refused("closed", 3)',
)
FAILED_DEEP = Body(
    "FailedDeep",
    head="""
        def fall():
            try:
                {}["key"]
            except KeyError as error:
                raise RuntimeError("deeper") from error
    """,
    work="fall()",
)
FAILED_JOIN = Body("FailedJoin", join='self.before = inputs.left.side\nraise TypeError("in the join")')
FAILED_END = Body("FailedEnd", work="self.fine = 1", end="self.late = 2\nassert self.fine == 0, 'not zero'")
UNSTORED = "ArtifactError", 'Cannot pickle dump artifact named "lock"'  # Metaflow's own error, in kit's words
FAILED_PICKLE = Body("FailedPickle", head="import threading", work="self.before = 1; self.lock = threading.Lock()")
FAILED_NEXT = Body("FailedNext", start="self.next(self.work)", work="pass")
EXITED = "ReplayError", "The step ended its own process: sys.exit(3)"  # kit ends no kernel, and says so
FAILED_EXIT = Body("FailedExit", head="import sys", work="self.before = 1\nsys.exit(3)")

KILLING = """
    self.before = 1
    if os.environ.get("MATRIX_KILL"):
        os.kill(os.getpid(), signal.SIGKILL)
    self.survived = common.Pair(1, 2)
"""
KILLED_HEAD = "import os\nimport signal"
KILLED = Body("Killed", head=KILLED_HEAD, start="self.given = 5", work=KILLING)
KILLED_SOME = Body("KilledSome", head=KILLED_HEAD, work=KILLING.replace("if os", "if self.index == 1 and os"))
KILLED_LATER = Body(
    "KilledLater",
    head=f"{KILLED_HEAD}\n\nfrom metaflow import retry",
    start="self.given = 5",
    decorators="@retry(times=1, minutes_between_retries=0)",
    work=KILLING.replace("self.before = 1", "self.before = current.retry_count"),
)
KILLS = (Launch(IN_TURN, environ={"MATRIX_KILL": "1"}, succeeds=False),)

BREAKING = 'if os.environ.get("MATRIX_BREAK"):\n    raise OSError("broken")\n' + NOTE
RESUMED = Body("Resumed", head="import os", start=NOTE, join=NOTE, end=BREAKING, work=NOTE)
RESUMED_WORK = Body("ResumedWork", head="import os", start=NOTE, work=BREAKING, end=NOTE)
RESUMED_FROM = Body("ResumedFrom", start=NOTE, work=NOTE, end=NOTE)
BREAK = Launch(lasting={"MATRIX_BREAK": "1"}, succeeds=False)
RESUME = Launch(command="resume")

BROKEN_END = {"end": ("OSError", "broken")}
RESUMED_PARAMETER = Body(
    "ResumedParameter",
    head="import os\n\nfrom metaflow import Config, Parameter",
    attributes="""
        number = Parameter("number", type=int, default=1)
        settings = Config("settings", default="data/settings.json")
    """,
    start="self.given = self.number, self.settings.rounds",
    end=BREAKING,
)

ROWS = (
    Row(graphs.LINEAR, FAILED, FAILS, raises={"work": ("ValueError", "('no', 5)")}),
    Row(graphs.ENDS, FAILED_START, FAILS, raises={"start": ("KeyError", "absent")}),
    Row(foreachs.FOREACH, FAILED_SOME, FAILS_IN_TURN, raises={"work": ("ZeroDivisionError", "by zero")}),
    Row(graphs.LINEAR, FAILED_OWN, FAILS, raises={"work": ("Refused", "closed (3)")}),
    Row(graphs.LINEAR, FAILED_DEEP, FAILS, raises={"work": ("RuntimeError", "deeper")}),
    Row(graphs.BRANCH, FAILED_JOIN, FAILS, raises={"join": ("TypeError", "in the join")}),
    Row(graphs.LINEAR, FAILED_END, FAILS, raises={"end": ("AssertionError", "not zero")}),
    Row(graphs.LINEAR, FAILED_PICKLE, FAILS, raises={"work": UNSTORED}),
    Row(graphs.LINEAR, FAILED_NEXT, FAILS, raises={"start": ("InvalidNextException", "Multiple self.next() calls")}),
    Row(
        graphs.LINEAR,
        FAILED_EXIT,
        FAILS,
        raises={"work": EXITED},
    ),
    Row(
        graphs.MERGE_CONFLICT,
        Body("Failed"),
        FAILS,
        raises={"join": ("UnhandledInMergeArtifactsException", "cannot merge the following artifacts")},
    ),
    Row(graphs.LINEAR, KILLED, KILLS, unrecorded={"work": {"given": 5, "before": 1, "survived": (1, 2)}}),
    Row(foreachs.FOREACH, KILLED_SOME, KILLS, unrecorded={"work": {"value": 4, "survived": (1, 2)}}),
    Row(graphs.LINEAR, KILLED_LATER, KILLS, unrecorded={"work": {"given": 5, "before": 1, "survived": (1, 2)}}),
    Row(graphs.LINEAR, RESUMED, (BREAK, RESUME), raises=BROKEN_END),
    Row(graphs.LINEAR, RESUMED_WORK, (BREAK, RESUME), raises={"work": ("OSError", "broken")}),
    Row(graphs.BRANCH, RESUMED, (BREAK, RESUME), raises=BROKEN_END),
    Row(foreachs.FOREACH, RESUMED, (BREAK, RESUME), raises=BROKEN_END),
    Row(switches.RECURSION, RESUMED, (BREAK, RESUME), raises=BROKEN_END),
    Row(graphs.LINEAR, RESUMED_FROM, (Launch(), Launch(("work",), command="resume"))),
    Row(graphs.LINEAR, RESUMED_PARAMETER, (BREAK, RESUME), raises=BROKEN_END),
)
