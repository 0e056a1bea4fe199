"""Read new handwritten digits with the latest trained model: `python predict.py --no-pylint run`.

To choose which models may be used, tag their runs (`python train.py run --tag production`) and name the tag
(`python predict.py run --train_tag production`). TrainFlow's runs are looked for in this run's namespace:
give `run` a `--namespace` where theirs is another.
"""

from metaflow import FlowSpec, Parameter, schedule, step

import common
from kit import install_dependencies


@schedule(daily=True)
class PredictFlow(FlowSpec):
    """Predict with a trained model, and keep which run it came from.

    Artifacts that others read: `train_run`, `predictions`, `confusion` and `accuracy`, all at the end.
    """

    test_mode = Parameter("test_mode", type=bool, default=False, help="fifty images only")
    train_tag = Parameter("train_tag", default="", help="take the latest TrainFlow run with this tag")

    @step
    def start(self):
        """Fail fast: check the configuration and that there is a model to predict with."""
        common.check_configuration(train_tag=self.train_tag)
        self.train_run = common.latest_train_run(self.train_tag).pathspec
        self.next(self.predict)

    @step
    def predict(self):
        """Load that model and read the new images."""
        install_dependencies(common.DEPENDENCIES["model"])
        model = common.load_model(self.train_run)  # kept in that run: no copy of it here
        images, labels = common.new_images(50 if self.test_mode else None)
        self.predictions = model.predict(images)
        self.confusion = common.confusion(model, images, labels)
        self.accuracy = common.accuracy(self.confusion)
        self.next(self.end)

    @step
    def end(self):
        """Say what came out."""
        print(f"accuracy {self.accuracy:.3f} on the new images, with the model of {self.train_run}")


if __name__ == "__main__":
    PredictFlow()
