"""Why a training run failed: stable codes, each with a message and a remedy."""

from __future__ import annotations

from dataclasses import dataclass

from webapp.core.jobs.table import GAVE_UP

MANIFEST_MISSING, OPTIONS_INVALID, DATA_REFUSED = "manifest_missing", "options_invalid", "data_refused"
OUT_OF_MEMORY, CRASHED, SILENT = "out_of_memory", "training_crashed", "training_silent"
ARTIFACT_REFUSED, NOTHING_LABELLED, UNCHANGED = "artifact_refused", "nothing_labelled", "data_unchanged"
DATA_CHANGED, COMPARISON_FAILED, VALIDATION_FAILED = "data_changed", "comparison_failed", "validation_failed"
MODEL_MISSING = "model_missing"
IN_THE_LOG = "For details, see stderr.log in the run's folder on the training server."


@dataclass(frozen=True)
class Failure:
    code: str
    message: str
    remedy: str


FAILURES = {
    MANIFEST_MISSING: ("Manifest not found.", "Enter the path of the CSV as seen by the training server."),
    OPTIONS_INVALID: ("Unknown training option or value.", "See python -m classifier train --help."),
    DATA_REFUSED: ("This manifest cannot be used for training with these options.", IN_THE_LOG),
    OUT_OF_MEMORY: ("Training ran out of memory.", "Use a smaller batch or image size."),
    CRASHED: ("Training crashed.", IN_THE_LOG),
    SILENT: ("Training was stopped: it reported no progress within the time limit.", IN_THE_LOG),
    ARTIFACT_REFUSED: ("Training did not produce a valid model file.", IN_THE_LOG),
    NOTHING_LABELLED: (
        "No labelled scans to train on.",
        "Label scans or import labelled data, then try again.",
    ),
    UNCHANGED: (
        "Labels have not changed since the last training run; nothing was trained.",
        "Add labels, or start a run manually with other options.",
    ),
    DATA_CHANGED: (
        "An image of the snapshot is missing or has changed.",
        "Restore the images from a backup, or create a new snapshot.",
    ),
    VALIDATION_FAILED: ("Data validation crashed.", IN_THE_LOG),
    COMPARISON_FAILED: ("The comparison crashed.", IN_THE_LOG),
    MODEL_MISSING: ("A model file is missing or damaged.", "Register the file again."),
    GAVE_UP: (
        "The worker stopped repeatedly during training.",
        "Check the training server, then start another run.",
    ),
}


def failure_of(code: str) -> Failure:
    return Failure(code, *FAILURES.get(code, ("Training failed.", IN_THE_LOG)))
