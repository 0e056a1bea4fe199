"""Train a model of bike rentals: `python flows/train.py run`; with little data: `run --test_mode 1`."""

from kit import install_dependencies
from metaflow import FlowSpec, Parameter, card, current, step
from metaflow.cards import Markdown, Table

import common


class TrainFlow(FlowSpec):
    """Fit one model for each penalty, keep the best and evaluate it.

    Artifacts that others read: `model`, `scores` and `error`, all at the end.
    """

    test_mode = Parameter("test_mode", type=bool, default=False, help="little data and two penalties")
    days = Parameter("days", type=int, default=common.DAYS, help="how many days there are")
    seed = Parameter("seed", type=int, default=0, help="what the data is made with")

    @step
    def start(self):
        """Fail fast: check the Parameters, load the data, lay out the grid."""
        common.check_configuration(self.days, self.seed)
        install_dependencies(common.DEPENDENCIES)
        days = min(self.days, common.TEST_MODE_DAYS) if self.test_mode else self.days
        self.train, self.validation, self.held_out = common.split(common.load_days(days, self.seed))
        self.penalties = list(common.PENALTIES[:2] if self.test_mode else common.PENALTIES)
        self.next(self.fit, foreach="penalties")

    @step
    def fit(self):
        """Train with one penalty."""
        install_dependencies(common.DEPENDENCIES)
        self.model = common.fit(self.train, self.input)
        self.score = common.error(self.model, self.validation)
        self.next(self.join)

    @step
    def join(self, inputs):
        """Go on with the model of the least error, and the scores of all."""
        self.scores = sorted((task.score, task.model.penalty) for task in inputs)
        best = min(inputs, key=lambda task: task.score)
        self.merge_artifacts([best], exclude=["score"])
        self.next(self.evaluate)

    @card(type="blank")
    @step
    def evaluate(self):
        """Evaluate the chosen model on days that played no part in the choice, and report in the card."""
        install_dependencies(common.DEPENDENCIES)
        self.error = common.error(self.model, self.held_out)
        current.card.append(Markdown(f"# Error {self.error:.0f} rentals a day"))
        rows = [[penalty, f"{score:.1f}"] for score, penalty in self.scores]
        current.card.append(Table(rows, headers=["penalty", "validation error"]))
        self.next(self.end)

    @step
    def end(self):
        """Say what came out."""
        print(f"error {self.error:.0f} rentals a day, with penalty {self.model.penalty}")


if __name__ == "__main__":
    TrainFlow()
