"""Damage healthy files of every kind and send them through the parsing helper.

    nice python -m tests.classifier.images.fuzz [--count N] [--seed N] [--from FOLDER]...

With --from the files of a folder are damaged as well as those that are made by code.

Prints how often each result came, the slowest file, the most memory and the contained crashes of decoders.
Ends with 1 on a surprise: an result without a code, an exception that nobody expected, a helper that died or
gave out, a file over 20 s, memory over the limit. Such files are kept under their seed and number, by which
`--seed N --start NUMBER --count 1` makes them again.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from tests.classifier.images.fuzz.metered import MeteredHelper
from tests.classifier.images.fuzz.mutants import Mutants
from tests.classifier.images.fuzz.seeds import found, made
from tests.classifier.images.fuzz.trial import Trial


def main() -> int:
    arguments = _arguments()
    seeds = [*made(), *(seed for folder in arguments.folders for seed in found(folder))]
    mutants = Mutants(seeds, arguments.seed)
    last = arguments.start + arguments.count
    with MeteredHelper() as helper:
        trial = Trial(helper, arguments.keep)
        with contextlib.suppress(KeyboardInterrupt):  # what was found until then is reported all the same
            for number in range(arguments.start, last):
                trial.send(mutants[number])
                if sys.stderr.isatty():
                    print(f"\r{number + 1:,} of {last:,}", end="", file=sys.stderr)
    print(trial.figures.table())
    return 1 if trial.figures.surprises else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.classifier.images.fuzz", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--count", type=int, default=20_000, help="files to make (default 20,000)")
    parser.add_argument("--seed", type=int, default=1, help="which files are made (default 1)")
    parser.add_argument("--start", type=int, default=0, help="number of the first one (default 0)")
    parser.add_argument("--from", type=Path, action="append", default=[], dest="folders", metavar="FOLDER")
    parser.add_argument(
        "--keep", type=Path, default=Path("var/fuzz"), help="where surprises are kept (var/fuzz)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
