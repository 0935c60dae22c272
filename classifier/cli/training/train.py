"""The exit status is 0 when the model was written, 1 when the data or the options are not usable."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields

from classifier.artifact.pretrained import Transfer
from classifier.errors import ArtifactError
from classifier.training.config import Config, add_arguments
from classifier.training.run_log import RunLog
from classifier.training.train import LOG, processes_for, train

__all__ = ["add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    config = Config(**{field.name: getattr(args, field.name) for field in fields(Config)})
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
        facts = {"pretrained": transfer.as_dict()} if transfer else {}
        print(json.dumps({"event": "done", "artifact": str(path), **facts}))
    else:
        print(path, *([transfer.summary] if transfer else []), sep="\n")
    return 0
