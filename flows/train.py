"""Train a reader of handwritten digits: `python train.py --no-pylint run`.

In test mode, `python train.py --no-pylint run --test_mode 1`, the same steps have little data and two
settings to try. A fit uses one thread. How many fits run at once is an option of `run`, which no Parameter
can set: for one at a time add `--max-workers 1`.
"""

from metaflow import FlowSpec, Parameter, card, current, schedule, step
from metaflow.cards import Image, Markdown, Table

import common
from kit import install_dependencies


@schedule(weekly=True)
class TrainFlow(FlowSpec):
    """Fit one model for each setting of the hyperparameters, keep the best and evaluate it.

    Artifacts that others read: `model`, `params`, `scores`, `accuracy` and `confusion`, all at the end.
    """

    test_mode = Parameter("test_mode", type=bool, default=False, help="little data and a small grid")
    seed = Parameter("seed", type=int, default=0, help="what the data is split with")
    limit = Parameter("limit", type=int, default=None, help="use the first so many images only")

    @step
    def start(self):
        """Fail fast: check the configuration, load the data, lay out the grid."""
        install_dependencies(common.DEPENDENCIES["model"])
        common.check_configuration(seed=self.seed, limit=self.limit)
        limit = self.limit or (common.TEST_MODE_IMAGES if self.test_mode else None)
        self.split = common.load_data(limit, self.seed)
        self.grid = common.hyperparameters(self.test_mode)
        self.next(self.fit, foreach="grid")

    @step
    def fit(self):
        """Train with one setting of the hyperparameters."""
        install_dependencies(common.DEPENDENCIES["model"])
        self.candidate = common.fit(self.split, self.input)
        self.params, self.score = self.candidate.params, self.candidate.score  # to be read without the model
        self.model = self.candidate.model
        self.next(self.join)

    @step
    def join(self, inputs):
        """Go on with what the best task has, and the scores of all."""
        self.scores = common.scores(inputs)
        self.merge_artifacts([common.best(inputs)])  # by reference: no model is loaded here
        self.next(self.evaluate)

    @card(type="blank")
    @step
    def evaluate(self):
        """Evaluate the chosen model on images that played no part in the choice, and report in the card."""
        install_dependencies([common.DEPENDENCIES["model"], common.DEPENDENCIES["plots"]])
        self.confusion = common.confusion(self.model, self.split.x_test, self.split.y_test)
        self.accuracy = common.accuracy(self.confusion)
        current.card.append(Markdown(f"# Accuracy {self.accuracy:.3f} on the test images"))
        current.card.append(Table(list(map(list, self.scores)), headers=["setting", "validation score"]))
        current.card.append(Image.from_matplotlib(common.plot_scores(self.scores)))
        current.card.append(Image.from_matplotlib(common.plot_confusion(self.confusion)))
        self.next(self.end)

    @step
    def end(self):
        """Say what came out."""
        print(f"best of {len(self.scores)} settings: {self.scores[0][0]}")
        print(f"accuracy {self.accuracy:.3f} on the test images")


if __name__ == "__main__":
    TrainFlow()
