"""The flow KitTest: `kit test --on metaflow`. It lies in a folder of its own, which is the root of its code package."""

from __future__ import annotations

from metaflow import FlowSpec, JSONType, Parameter, card, catch, retry, step

from kit.regression import tasks
from kit.regression.carried import carried


@carried
class KitTest(FlowSpec):
    """The notebooks of a project as regression tests, each in a task of its own."""

    suite = Parameter("suite", type=JSONType, required=True, help="What to test, as `kit test` writes it.")

    @step
    def start(self):
        """Run the flows that the notebooks need, in test mode."""
        self.flows, self.datastore = tasks.run_needed_flows(self.suite)
        self.notebooks = self.suite["notebooks"]
        self.next(self.test, foreach="notebooks")

    @catch(var="lost", print_exception=False)
    @retry(times=1, minutes_between_retries=0)
    @step
    def test(self):
        """Execute a notebook and compare it with its reference."""
        self.notebook = self.input
        self.tested, self.executed = tasks.test_notebook(self.suite, self.notebook, self.flows, self.datastore)
        self.verdict = tasks.plain(self.tested)
        self.next(self.report)

    @card(type="kit_page")
    @step
    def report(self, tests):
        """Gather the verdicts; the card is the HTML report."""
        self.outcome = tasks.gather(tests[0].flows, list(tests))
        self.verdicts = [tasks.plain(verdict) for verdict in self.outcome]
        self.html = tasks.page(self.outcome)
        self.next(self.end)

    @step
    def end(self):
        """Fail where the suite does, so that whatever runs this flow knows."""
        tasks.require_passed(self.outcome)


if __name__ == "__main__":
    KitTest()
