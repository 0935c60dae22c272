"""Why a training run failed: stable codes, and what people are told."""

from __future__ import annotations

from dataclasses import dataclass

from webapp.core.jobs.table import GAVE_UP

MANIFEST_MISSING, OPTIONS_INVALID, DATA_REFUSED = "manifest_missing", "options_invalid", "data_refused"
OUT_OF_MEMORY, CRASHED, SILENT = "out_of_memory", "training_crashed", "training_silent"
ARTIFACT_REFUSED, NOTHING_LABELLED, UNCHANGED = "artifact_refused", "nothing_labelled", "data_unchanged"
DATA_CHANGED, COMPARISON_FAILED, VALIDATION_FAILED = "data_changed", "comparison_failed", "validation_failed"
MODEL_MISSING = "model_missing"
IN_THE_LOG = "The reason stands in stderr.log in the run's folder on the training machine."


@dataclass(frozen=True)
class Failure:
    code: str
    message: str
    remedy: str


FAILURES = {
    failure.code: failure
    for failure in (
        Failure(
            MANIFEST_MISSING,
            "The manifest is not there.",
            "Give the path of the CSV as the training machine sees it.",
        ),
        Failure(
            OPTIONS_INVALID,
            "The training knows no such option or value.",
            "See python -m classifier train --help.",
        ),
        Failure(DATA_REFUSED, "The training cannot use this manifest with these options.", IN_THE_LOG),
        Failure(OUT_OF_MEMORY, "The training ran out of memory.", "Ask for smaller batches or images."),
        Failure(CRASHED, "The training broke off.", IN_THE_LOG),
        Failure(SILENT, "The training said nothing for so long that it was ended.", IN_THE_LOG),
        Failure(ARTIFACT_REFUSED, "What the training made is no usable model.", IN_THE_LOG),
        Failure(
            NOTHING_LABELLED,
            "There is no labelled scan to train on.",
            "Label scans, or import labels, then try again.",
        ),
        Failure(
            UNCHANGED,
            "The labelled data have not changed since the last training: nothing was trained.",
            "Label more, or start a run by hand with other options.",
        ),
        Failure(
            DATA_CHANGED,
            "An image of the snapshot is missing or not the one that was frozen.",
            "Restore the images from the backup, or make another snapshot.",
        ),
        Failure(VALIDATION_FAILED, "The data audit broke off.", IN_THE_LOG),
        Failure(COMPARISON_FAILED, "The comparison broke off.", IN_THE_LOG),
        Failure(MODEL_MISSING, "The file of a model is missing or damaged.", "Register the file again."),
        Failure(
            GAVE_UP,
            "The training was lost with its worker time and again.",
            "Look after the training machine, then start another run.",
        ),
    )
}


def failure_of(code: str) -> Failure:
    return FAILURES.get(code) or Failure(code, "The training failed.", IN_THE_LOG)
