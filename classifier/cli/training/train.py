"""The exit status is 0 when the model was written, 1 when the data or the options are not usable."""

from classifier.training.loop import add_arguments, run

__all__ = ["add_arguments", "run"]
