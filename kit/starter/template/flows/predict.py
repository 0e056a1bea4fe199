"""Predict the rentals of next week with the latest trained model: `python flows/predict.py run`."""

from kit import install_dependencies
from metaflow import FlowSpec, Parameter, Run, step

import common


class PredictFlow(FlowSpec):
    """Predict with a trained model, and keep which run it came from.

    Artifacts that others read: `train_run` and `predictions`, both at the end.
    """

    test_mode = Parameter("test_mode", type=bool, default=False, help="one week only")
    weeks = Parameter("weeks", type=int, default=4, help="how many weeks to predict")

    @step
    def start(self):
        """Fail fast: check the Parameters, and that there is a model to predict with."""
        self.ahead = 7 * (1 if self.test_mode else self.weeks)
        common.check_configuration(common.FEWEST_DAYS + self.ahead, seed=0)
        self.train_run = common.latest_train_run().pathspec
        self.next(self.predict)

    @step
    def predict(self):
        """Load that model and predict; it is kept in its run, and not copied here."""
        install_dependencies(common.DEPENDENCIES)
        model = Run(self.train_run).data.model
        self.predictions = model.predict(common.load_days(self.ahead, seed=1))
        self.next(self.end)

    @step
    def end(self):
        """Say what came out."""
        print(f"{self.predictions.sum():.0f} rentals in {self.ahead} days, with the model of {self.train_run}")


if __name__ == "__main__":
    PredictFlow()
