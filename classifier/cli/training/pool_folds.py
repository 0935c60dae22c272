"""Joins folders that `train --folds N --fold K` wrote in separate runs; each image is predicted by the model
that was not trained on it.
"""

from classifier.training.cross_validation import add_arguments, run

__all__ = ["add_arguments", "run"]
