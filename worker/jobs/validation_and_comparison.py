"""Data validation before a training, and the comparison for the promotion gate after it."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings

from webapp.core import storage
from webapp.core.jobs import table as jobs
from webapp.registry.comparisons import (
    COMPARE_LEASE,
    comparison_claim,
    comparison_done,
    comparison_fail,
)
from webapp.registry.models import Comparison
from webapp.registry.selectors import artifact_path
from webapp.training import failures
from webapp.training.models import DataValidation
from webapp.training.services import HeartbeatReply
from webapp.training.snapshots import VALIDATION_LEASE, validation_claim, validation_done, validation_fail
from worker.jobs.snapshot_integrity import all_there
from worker.runner import Heartbeat, Unavailable
from worker.subprocess.classifier_process import InUse, TrainingProcess
from worker.subprocess.supervise import Ended, mind

logger = logging.getLogger(__name__)

CHECKING_SECONDS = 60 * 60.0


def validate_next(interrupted: threading.Event) -> bool:
    """Audit the next snapshot that waits for it; False when none does."""
    validation = validation_claim()
    if validation is None:
        return False
    token, snapshot, folder = validation.attempt_token, validation.snapshot, folder_for(validation)
    if not checked(DataValidation, token, snapshot.stored_name, snapshot.fingerprint):
        validation_fail(validation=validation, token=token, code=failures.DATA_CHANGED)
        return True
    manifest = storage.path_of(snapshot.stored_name)
    process = TrainingProcess(["validate", f"--manifest={manifest}", "--json"], folder)
    ended = minded(validation, process, folder, VALIDATION_LEASE, interrupted)
    if ended == 0 and process.warnings is not None:
        validation_done(validation=validation, token=token, warnings=process.warnings)
    elif not isinstance(ended, Ended):
        logger.error("the validation of snapshot %s ended with status %d", snapshot.pk, ended)
        validation_fail(validation=validation, token=token, code=failures.VALIDATION_FAILED)
    return True


def compare_next(interrupted: threading.Event) -> bool:
    """Compare the next candidate that waits for it; False when none does."""
    row = comparison_claim()
    if row is None:
        return False
    token, folder = row.attempt_token, folder_for(row)
    models = [row.candidate, *([row.active] if row.active else [])]
    if not all(artifact_path(version).is_file() for version in models):
        comparison_fail(comparison=row, token=token, code=failures.MODEL_MISSING)
        return True
    if not checked(Comparison, token, row.manifest_name, row.fingerprint):
        comparison_fail(comparison=row, token=token, code=failures.DATA_CHANGED)
        return True
    found: list[dict[str, Any]] = []
    process = TrainingProcess(compare_arguments(row, folder), folder)
    ended = minded(row, process, folder, COMPARE_LEASE, interrupted, keep=found)
    if ended == 0 and found:
        comparison_done(comparison=row, token=token, report=found[0])
    elif not isinstance(ended, Ended):
        logger.error("comparison %s ended with status %d", row.pk, ended)
        comparison_fail(comparison=row, token=token, code=failures.COMPARISON_FAILED)
    return True


def compare_arguments(row: Comparison, folder: Path) -> list[str]:
    against = [f"--against={artifact_path(row.active)}"] if row.active else []
    return [
        "compare",
        f"--model={artifact_path(row.candidate)}",
        *against,
        f"--manifest={storage.path_of(row.manifest_name)}",
        f"--out={folder / 'comparison.json'}",
        f"--device={settings.HILUM_DEVICE}",
        "--json",
    ]


def checked(model: type[jobs.JobRow], token: Any, stored_name: str, fingerprint: str) -> bool:
    with Heartbeat(model, token, limit=CHECKING_SECONDS):
        return all_there(stored_name, fingerprint)


def minded(
    row: jobs.JobRow,
    process: TrainingProcess,
    folder: Path,
    lease: Any,
    interrupted: threading.Event,
    keep: list[dict[str, Any]] | None = None,
) -> int | Ended:
    """Run the process under the row's lease; `keep` takes the JSON that it wrote. The folder is removed."""
    token = row.attempt_token
    try:
        with process:
            ended = mind(process, partial(held, type(row), token, lease), interrupted)
            if ended == 0 and process.artifact and keep is not None:
                keep.append(json.loads(process.artifact.read_text()))
    except InUse as error:
        jobs.release(type(row), token)
        raise Unavailable from error
    if ended is Ended.INTERRUPTED:
        jobs.release(type(row), token)
    shutil.rmtree(folder, ignore_errors=True)
    return ended


def held(model: type[jobs.JobRow], token: Any, lease: Any) -> HeartbeatReply:
    return HeartbeatReply.CONTINUE if jobs.extend(model, token, lease=lease) else HeartbeatReply.LEASE_LOST


def folder_for(row: jobs.JobRow) -> Path:
    folder = settings.HILUM_DATA / "training" / f"{row._meta.model_name}-{row.pk}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
