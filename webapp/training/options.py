"""What a training may be asked for: options without any path, and data sets by name."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from webapp.core.errors import CodedError

TEXT_LIMIT = 500
MAX_SEED = 2**31 - 1
# Options of `python -m classifier train` that name no file; `slot` is a field of the run itself.
OPTIONS = frozenset(
    [
        "activation",
        "arch",
        "augment",
        "average",
        "balance",
        "batch",
        "box_loss",
        "calibration",
        "clip",
        "crop",
        "device",
        "devices",
        "dropout",
        "ema",
        "epoch_images",
        "epochs",
        "false_alarms",
        "findings",
        "flip",
        "fold",
        "fold_by",
        "folds",
        "freeze",
        "group_robust",
        "hounsfield",
        "label_noise",
        "label_smoothing",
        "layers",
        "loss",
        "lr",
        "max_minutes",
        "name",
        "optimiser",
        "patience",
        "precision",
        "pretrained",
        "progressive",
        "road",
        "shortcuts",
        "size",
        "source_balance",
        "source_weight",
        "storage",
        "teacher_temperature",
        "teacher_weight",
        "threads",
        "threshold_by",
        "tune",
        "warmup",
        "weight_decay",
        "where",
        "width",
    ]
)
PUBLIC_WEIGHTS = "auto"
DATA_SET = r"^[A-Za-z0-9_][A-Za-z0-9_. -]*(/[A-Za-z0-9_][A-Za-z0-9_. -]*)*\.csv$"


def options_wrong(options: Mapping[str, Any]) -> dict[str, list[str]]:
    """What no training could be started with, by the option's name."""
    wrong = {}
    for name, value in options.items():
        if name == "seed":
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SEED:
                wrong[name] = [f"A whole number from 0 to {MAX_SEED} is needed."]
        elif name not in OPTIONS:
            wrong[str(name)[:40]] = ["There is no such option, or it cannot be set here."]
        elif name == "pretrained" and value != PUBLIC_WEIGHTS:
            wrong[name] = [f"Only {PUBLIC_WEIGHTS} is possible. To go on from the active model, set `start`."]
        elif not _plain(value):
            wrong[name] = ["A short, plain value is needed."]
    return wrong


def data_set_manifest(name: str) -> str:
    """The path of the CSV with this name below a folder of HILUM_DATA_SETS, "" for none; raises `invalid`.

    The error is the same whether or not a file with that name lies elsewhere.
    """
    if not name:
        return ""
    for folder in settings.HILUM_DATA_SETS if re.fullmatch(DATA_SET, name) else ():
        root = Path(folder).resolve()
        path = (root / name).resolve()
        if path.is_relative_to(root) and path.is_file():
            return str(path)
    raise CodedError("invalid", fields={"data_set": ["There is no data set with this name."]})


def _plain(value: object) -> bool:
    if isinstance(value, list):
        return len(value) <= 50 and all(_plain(one) and not isinstance(one, list) for one in value)
    if isinstance(value, str):
        return len(value) <= TEXT_LIMIT and value.isascii() and value.isprintable()
    return isinstance(value, int | float) and math.isfinite(value)
