"""`python -m classifier COMMAND`: only the module of the command that is asked for is imported."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from classifier.artifact.header import ArtifactError

COMMANDS = {
    "predict": (
        "classifier.cli.predict",
        "classify images: one answer a line, for people or as JSON",
    ),
    "explain": ("classifier.cli.explain", "draw what speaks for a finding over its image"),
    "manifest": ("classifier.cli.manifest", "write the manifest of a folder of images, sorted by finding"),
    "train": ("classifier.training.loop", "train a model on a manifest"),
    "pretrain": (
        "classifier.training.pretrain.train",
        "make weights to start a training from, without labels",
    ),
    "segmenter": ("classifier.training.lungs.train", "train the lung segmenter on images with drawn lungs"),
    "gate": ("classifier.cli.input_check", "train the gate that stops what is no frontal chest X-ray"),
    "evaluate": ("classifier.evaluation.evaluate", "score a model on a manifest"),
    "compare": ("classifier.cli.compare", "compare a model with the one in use on the same images"),
    "audit": ("classifier.cli.validate", "warn of what in a manifest would mislead a model"),
    "assemble": ("classifier.cli.assemble", "put a gate and a lung segmenter beside a model"),
    "pool": ("classifier.training.cross_validation", "report on the predictions of several folds together"),
    "verify": ("classifier.cli.verify", "check a model file against its own golden inputs"),
    "deidentify": ("classifier.cli.deidentify", "remove the identity from images, under a key"),
    "bench": ("classifier.cli.bench", "measure throughput on this machine"),
    "phantom": ("classifier.cli.phantom", "make simulated radiographs of several patients"),
}
FAILED, USAGE_ERROR = 1, 2
INTERRUPTED = 130


def main(argv: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    if not argv or argv[0] not in COMMANDS:
        overview().parse_args(argv or ["--help"])
        return USAGE_ERROR if not argv else 0
    # Before torch loads: threads that spin while they wait crawl as soon as the cores are shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    module_name, purpose = COMMANDS[argv[0]]
    module = importlib.import_module(module_name)
    parser = argparse.ArgumentParser(
        prog=f"python -m classifier {argv[0]}",
        description=purpose[0].upper() + purpose[1:] + ".",
        epilog=module.__doc__,
    )
    module.add_arguments(parser)
    try:
        return module.run(parser.parse_args(argv[1:]))
    except ArtifactError as error:
        print(error, file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our lines has gone: nothing is left to say, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def overview() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {purpose}" for name, (_, purpose) in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog="python -m classifier",
        description="Reads chest images and says what it sees, with the evidence.",
        epilog="commands:\n" + "\n".join(lines) + "\n\nEach command has its own --help.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those below")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
