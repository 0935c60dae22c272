"""Pass the weights to `train --pretrained DIR/weights.safetensors`. `--how siamese` learns from the images of
a manifest, without its validation and test parts; `--how fractals` learns from generated images.
"""

from classifier.training.pretrain.train import add_arguments, run

__all__ = ["add_arguments", "run"]
