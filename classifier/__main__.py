"""`python -m classifier COMMAND`: imports the module of that command only."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence

from classifier.cli.arguments import UsageError
from classifier.errors import ArtifactError

COMMANDS = {
    "predict": ("cli.inference.predict", "Classify images; print one result per line, as text or JSON"),
    "explain": ("cli.inference.explain", "Draw the heatmap of a finding over its image"),
    "verify": ("cli.inference.verify", "Check that a model reproduces its golden outputs on this machine"),
    "bench": ("cli.inference.bench", "Measure the throughput of a model on this machine"),
    "manifest": ("cli.data.manifest", "Write the manifest of a folder of images sorted by finding"),
    "validate": ("cli.data.validate", "Check a training data set for problems that would mislead a model"),
    "split": ("cli.data.split", "Assign training, validation and test parts; print the split's fingerprint"),
    "deidentify": ("cli.data.deidentify", "Remove patient identity from images, using a secret key"),
    "phantom": ("cli.data.phantom", "Generate simulated radiographs of several patients"),
    "train": ("cli.training.train", "Train a model on a manifest"),
    "pretrain": ("training.pretrain.train", "Create initial weights for training, without labels"),
    "imagenet": ("cli.training.imagenet", "Create initial weights from a network trained on ImageNet"),
    "pretrain-phantom": ("cli.training.pretrain_phantom", "Create initial weights from phantoms"),
    "lung-segmenter": ("training.lungs.train", "Train the lung segmenter on images with lung masks"),
    "input-check": (
        "cli.training.input_check",
        "Train the input check, which rejects non-frontal chest images",
    ),
    "other-abnormality": (
        "cli.training.other_abnormality",
        "Fit a model's score of other abnormalities, on images that show them",
    ),
    "warning-limits": (
        "cli.training.warning_limits",
        "Fit from where a model's results carry a warning or are withheld for it",
    ),
    "assemble": ("cli.training.assemble", "Add an input check and a lung segmenter to a model"),
    "pool-folds": ("training.cross_validation", "Report on the predictions of cross-validation folds"),
    "evaluate": ("cli.evaluation.evaluate", "Evaluate a model on a manifest"),
    "compare": ("cli.evaluation.compare", "Compare a candidate with the active model on the same images"),
    "model-card": ("cli.evaluation.model_card", "Print the model card of a model file as Markdown"),
}
FAILED, USAGE_ERROR = 1, 2
INTERRUPTED = 130


def main(argv: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files need not be text.
        sys.stdout.reconfigure(errors="backslashreplace")
    if not argv or argv[0] not in COMMANDS:
        overview().parse_args(argv or ["--help"])
        return USAGE_ERROR if not argv else 0
    # Before torch loads: threads that spin while they wait crawl as soon as the cores are shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    name, purpose = COMMANDS[argv[0]]
    module = importlib.import_module(f"classifier.{name}")
    parser = argparse.ArgumentParser(
        prog=f"python -m classifier {argv[0]}", description=f"{purpose}.", epilog=module.__doc__
    )
    module.add_arguments(parser)
    try:
        return module.run(parser.parse_args(argv[1:]))
    except (ArtifactError, UsageError) as error:
        print(error, file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # otherwise the flush at exit fails again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def overview() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {purpose}" for name, (_, purpose) in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog="python -m classifier",
        description="Classify chest images, and train and evaluate the models that do it.",
        epilog="commands:\n" + "\n".join(lines) + "\n\nRun a command with --help for its options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of the commands below")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
