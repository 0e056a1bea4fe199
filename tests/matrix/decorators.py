"""Metaflow's own step decorators: what they handle, what they set, what they count."""

from matrix import foreachs, graphs
from matrix.table import Body, Launch, Row

CAUGHT = """
    self.before = "set before the failure"
    self.tries = current.retry_count
    raise ValueError("no", 5)
"""

CATCH_VAR = Body(
    "CatchVar",
    head="from metaflow import catch",
    decorators='@catch(var="failure", print_exception=False)',
    work=CAUGHT,
    end="self.what = type(self.failure).__name__, str(self.failure.exception), repr(self.failure.type), self.tries",
)
CATCH_PRINTED = Body("CatchPrinted", head="from metaflow import catch", decorators="@catch", work=CAUGHT)
CATCH_CALM = Body(
    "CatchCalm", head="from metaflow import catch", decorators='@catch(var="failure")', work="self.fine = True"
)
CATCH_SOME = Body(
    "CatchSome",
    head="from metaflow import catch",
    decorators='@catch(var="failure", print_exception=False)',
    work="self.got = 12 // (self.input - 4)",
    join="self.failures = [bool(task.failure) for task in inputs], [hasattr(task, 'got') for task in inputs]",
)
CATCH_NODE = Body(
    "CatchNode",
    head="from metaflow import catch, parallel",
    decorators='@catch(var="failure", print_exception=False)',
    work='if current.parallel.node_index == 1: raise ValueError("node")',
    join="self.failures = [bool(task.failure) for task in inputs]",
)
CATCH_RETRIED = Body(
    "CatchRetried",
    head="from metaflow import catch, retry",
    decorators='@catch(var="failure", print_exception=False)\n@retry(times=1, minutes_between_retries=0)',
    work=CAUGHT,
    end="self.what = self.tries, bool(self.failure)",
)
CATCH_OWN = Body(
    "CatchOwn",
    head="""
        from metaflow import catch


        class Refused(Exception):
            def __init__(self, reason, code):
                super().__init__(f"{reason} ({code})")
                self.code = code
    """,
    decorators='@catch(var="failure", print_exception=False)',
    work='raise Refused("closed", 3)',
    end="self.what = str(self.failure.exception), type(self.failure.exception).__name__",
)
CATCH_KILLED = Body(
    "CatchKilled",
    head="import os\nimport signal\n\nfrom metaflow import catch",
    decorators='@catch(var="failure", print_exception=False)',
    work='if current.retry_count < 1: os.kill(os.getpid(), signal.SIGKILL)\nself.never = "reached"',
    end="self.what = type(self.failure.exception).__name__, hasattr(self, 'never')",
)
CATCH_RETRY_KILLED = Body(
    "CatchRetryKilled",
    head="import os\nimport signal\n\nfrom metaflow import catch, retry",
    decorators='@retry(times=1, minutes_between_retries=0)\n@catch(var="failure", print_exception=False)',
    work='if current.retry_count < 2: os.kill(os.getpid(), signal.SIGKILL)\nself.never = "reached"',
    end="self.what = str(self.failure.exception)[:40]",
)
CATCH_TIMEOUT = Body(
    "CatchTimeout",
    head="import time\n\nfrom metaflow import catch, timeout",
    decorators='@catch(var="failure", print_exception=False)\n@timeout(seconds=1)',
    work="self.before = 1; time.sleep(30)",
    end="self.what = type(self.failure.exception).__name__, str(self.failure.exception).splitlines()[0]",
)

RETRIED = Body(
    "Retried",
    head="from metaflow import retry",
    decorators="@retry(times=2, minutes_between_retries=0)",
    work="""
        self.tries = current.retry_count
        if self.tries < 2:
            raise RuntimeError("not yet")
    """,
)
RETRY_UNUSED = Body(
    "RetryUnused", head="from metaflow import retry", decorators="@retry", work="self.tries = current.retry_count"
)
RETRY_KILLED = Body(
    "RetryKilled",
    head="import os\nimport signal\n\nfrom metaflow import retry",
    decorators="@retry(times=1, minutes_between_retries=0)",
    work="""
        if current.retry_count == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.tries = current.retry_count
    """,
)
RETRY_SOME = Body(
    "RetrySome",
    head="from metaflow import retry",
    decorators="@retry(times=1, minutes_between_retries=0)",
    work="""
        self.tries = current.retry_count
        if self.index == 1 and not self.tries:
            raise RuntimeError("not yet")
    """,
    join="self.all_tries = [task.tries for task in inputs]",
)
RETRY_FALLING = Body(
    "RetryFalling",
    head="from metaflow import retry",
    decorators="@retry(times=1, minutes_between_retries=0)",
    work="self.tries = current.retry_count\nraise KeyError('always')",
)

TIMEOUT = Body(
    "Timeout", head="from metaflow import timeout", decorators="@timeout(seconds=60)", work="self.in_time = True"
)
TIMED_OUT = Body(
    "TimedOut",
    head="import time\n\nfrom metaflow import timeout",
    decorators="@timeout(seconds=1)",
    work="self.before = 1\ntime.sleep(30)",
)

ENVIRONMENT = Body(
    "Environment",
    head="import os\n\nfrom metaflow import environment",
    decorators='@environment(vars={"MATRIX_ONE": "1", "MATRIX_TWO": "two words"})',
    work='self.found = os.environ["MATRIX_ONE"], os.environ["MATRIX_TWO"]; os.environ["MATRIX_LEAK"] = "leak"',
    end='self.leaked = os.environ.get("MATRIX_LEAK"), os.environ.get("MATRIX_ONE")',
)
SECRETS = Body(
    "Secrets",
    head="""
        import os

        from metaflow import secrets

        SOURCE = {"type": "inline", "id": "any", "options": {"env_vars": {"MATRIX_SECRET": "hush"}}}
    """,
    decorators="@secrets(sources=[SOURCE])",
    work='self.length = len(os.environ["MATRIX_SECRET"])',
    end='self.leaked = os.environ.get("MATRIX_SECRET")',
)
RESOURCES = Body(
    "Resources",
    head="from metaflow import resources",
    decorators="@resources(cpu=1, memory=256)",
    work='self.wanted = current.graph["steps"][current.step_name]["decorators"][0]["attributes"]["memory"]',
)

CARDS = """
    from metaflow import card
    from metaflow.cards import Artifact, Image, Markdown, ProgressBar, Table, VegaChart
"""
CARD = Body(
    "Card",
    head=CARDS,
    decorators="@card",
    work="""
        current.card.append(Markdown("# title"))
        current.card.append(Table([[1, Artifact({"a": 1})]], headers=["one", "two"]))
        self.has = "card" in current
    """,
    end="self.has_not = 'card' in current",
)
CARDS_BY_ID = Body(
    "CardsById",
    head=CARDS,
    decorators='@card(type="blank", id="one")\n@card(type="blank", id="two")\n@card(type="default")',
    work="""
        current.card["one"].append(Markdown("first"))
        current.card["two"].extend([Markdown("second"), Markdown("third")])
        current.card.append(Markdown("last"))
        self.after = True
    """,
)
CARD_REFRESHED = Body(
    "CardRefreshed",
    head=CARDS,
    decorators='@card(type="blank", id="live", refresh_interval=1)',
    work="""
        bar = ProgressBar(max=3, label="steps")
        text = Markdown("none")
        current.card["live"].append(bar)
        current.card["live"].append(text, id="text")
        for i in range(3):
            bar.update(i + 1)
            text.update(f"step {i}")
            current.card["live"].components["text"].update(f"at {i}")
            current.card["live"].refresh({"i": i})
        self.count = len(list(current.card["live"]))
    """,
)

ROWS = (
    Row(graphs.LINEAR, CATCH_VAR),
    Row(graphs.LINEAR, CATCH_PRINTED),
    Row(graphs.LINEAR, CATCH_CALM),
    Row(foreachs.FOREACH, CATCH_SOME),
    Row(foreachs.PARALLEL, CATCH_NODE),
    Row(graphs.LINEAR, CATCH_RETRIED),
    Row(graphs.LINEAR, CATCH_OWN),
    Row(graphs.LINEAR, CATCH_KILLED),
    Row(graphs.LINEAR, CATCH_RETRY_KILLED),
    Row(graphs.LINEAR, CATCH_TIMEOUT),
    Row(graphs.LINEAR, RETRIED),
    Row(graphs.ENDS, RETRY_UNUSED),
    Row(graphs.LINEAR, RETRY_KILLED),
    Row(foreachs.FOREACH, RETRY_SOME),
    Row(
        graphs.LINEAR,
        RETRY_FALLING,
        (Launch(succeeds=False),),
        raises={"work": ("KeyError", "always")},
    ),
    Row(graphs.ENDS, TIMEOUT),
    Row(
        graphs.LINEAR,
        TIMED_OUT,
        (Launch(succeeds=False),),
        raises={"work": ("TimeoutException", "Step work timed out after 0 hours, 0 minutes, 1 seconds")},
    ),
    Row(graphs.LINEAR, ENVIRONMENT),
    Row(foreachs.FOREACH, ENVIRONMENT),
    Row(graphs.LINEAR, SECRETS),
    Row(graphs.LINEAR, RESOURCES),
    Row(graphs.LINEAR, CARD),
    Row(graphs.LINEAR, CARDS_BY_ID),
    Row(graphs.ENDS, CARD_REFRESHED),
    Row(foreachs.FOREACH, Body("Card", head=CARDS, decorators="@card", work="current.card.append(Markdown('x'))")),
)
