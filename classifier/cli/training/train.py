"""The exit status is 0 when the model was written, 1 when the data or the options are not usable."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from classifier.artifact.pretrained import Transfer
from classifier.errors import ArtifactError
from classifier.training.config import Config
from classifier.training.options import add_options, options_in
from classifier.training.run_log import RunLog
from classifier.training.train import LOG, processes_for, train


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, Config)


def run(args: argparse.Namespace) -> int:
    config = options_in(args, Config)
    try:
        path = train(config)
    except (ValueError, OSError, ArtifactError) as error:
        print(f"training failed: {error}", file=sys.stderr)
        return 1
    if config.devices > 1 and not processes_for(config).is_main:
        return 0
    transfers = RunLog(config.out / LOG).events("pretrained")
    transfer = Transfer.from_dict(transfers[-1]) if transfers else None
    if config.json:
        facts = {"pretrained": asdict(transfer)} if transfer else {}
        print(json.dumps({"event": "done", "artifact": str(path), **facts}))
    else:
        print(path, *([transfer.summary] if transfer else []), sep="\n")
    return 0
