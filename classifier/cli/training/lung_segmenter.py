"""Masks are 1-bit PNG files named like their images. Images without lungs (--negatives) teach the segmenter
to find nothing. Images without masks are added in a second round, labelled by the segmenter itself where its
predictions on two views agree. Settings, counts and the Dice scores of held-out patients are written to a
JSON file next to the weights.
"""

from classifier.training.lungs.train import add_arguments, run

__all__ = ["add_arguments", "run"]
