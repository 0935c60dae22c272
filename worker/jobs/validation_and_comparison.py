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
from webapp.core.jobs.table import JobRow
from webapp.registry.comparisons import comparison_done
from webapp.registry.models import Comparison
from webapp.registry.selectors import artifact_path
from webapp.training import failures
from webapp.training.models import DataValidation
from webapp.training.services import HeartbeatReply
from webapp.training.snapshots import validation_done
from worker.jobs.comparison_cases import unseen_cases
from worker.jobs.snapshot_integrity import is_unchanged
from worker.runner import Heartbeat, Unavailable
from worker.subprocess.classifier_process import ClassifierProcess, InUse
from worker.subprocess.supervise import Ended, supervise
from worker.support.scratch import work_folder

logger = logging.getLogger(__name__)

CHECKING_SECONDS = 60 * 60.0
NO_CASES: dict[str, Any] = {"cases": 0, "patients": 0, "all": {"findings": {}}, "changes": []}


def validate_next(interrupted: threading.Event) -> bool:
    """Validate the data of the next queued snapshot; False when there is none."""
    for job in DataValidation.objects.claim():
        snapshot, folder = job.snapshot, work_folder(f"{job._meta.model_name}-{job.pk}")
        if not checked(job, snapshot.stored_name, snapshot.fingerprint):
            job.fail(failures.DATA_CHANGED)
            return True
        manifest = storage.path_of(snapshot.stored_name)
        process = ClassifierProcess(["validate", f"--manifest={manifest}", "--json"], folder)
        ended = run_process(job, process, folder, interrupted)
        if ended == 0 and process.warnings is not None:
            validation_done(validation=job, warnings=process.warnings)
        elif not isinstance(ended, Ended):
            logger.error("data validation of snapshot %s ended with status %d", snapshot.pk, ended)
            job.fail(failures.VALIDATION_FAILED)
        return True
    return False


def compare_next(interrupted: threading.Event) -> bool:
    """Compare the next queued candidate with the active model; False when there is none."""
    for job in Comparison.objects.claim():
        folder = work_folder(f"{job._meta.model_name}-{job.pk}")
        models = [job.candidate, *([job.active] if job.active else [])]
        if not all(artifact_path(version).is_file() for version in models):
            job.fail(failures.MODEL_MISSING)
            return True
        if not checked(job, job.manifest_name, job.fingerprint):
            job.fail(failures.DATA_CHANGED)
            return True
        manifest, excluded = unseen_cases(job, folder)
        if not excluded["remaining"]:
            comparison_done(comparison=job, report=NO_CASES | {"excluded": excluded})
            shutil.rmtree(folder, ignore_errors=True)
            return True
        report: list[dict[str, Any]] = []
        process = ClassifierProcess(compare_arguments(job, manifest, folder), folder)
        ended = run_process(job, process, folder, interrupted, keep=report)
        if ended == 0 and report:
            comparison_done(comparison=job, report=report[0] | {"excluded": excluded})
        elif not isinstance(ended, Ended):
            logger.error("comparison %s ended with status %d", job.pk, ended)
            job.fail(failures.COMPARISON_FAILED)
        return True
    return False


def compare_arguments(row: Comparison, manifest: Path, folder: Path) -> list[str]:
    against = [f"--against={artifact_path(row.active)}"] if row.active else []
    return [
        "compare",
        f"--model={artifact_path(row.candidate)}",
        *against,
        f"--manifest={manifest}",
        f"--out={folder / 'comparison.json'}",
        f"--device={settings.HILUM_DEVICE}",
        "--json",
    ]


def checked(job: JobRow, stored_name: str, fingerprint: str) -> bool:
    with Heartbeat(job, limit=CHECKING_SECONDS):
        return is_unchanged(stored_name, fingerprint)


def run_process(
    job: JobRow,
    process: ClassifierProcess,
    folder: Path,
    interrupted: threading.Event,
    keep: list[dict[str, Any]] | None = None,
) -> int | Ended:
    """Run the process while extending the job's lease; `keep` takes its JSON. Removes the folder."""
    try:
        with process:
            ended = supervise(process, partial(heartbeat, job), interrupted)
            if ended == 0 and process.artifact and keep is not None:
                keep.append(json.loads(process.artifact.read_text()))
    except InUse as error:
        job.release()
        raise Unavailable from error
    if ended is Ended.INTERRUPTED:
        job.release()
    shutil.rmtree(folder, ignore_errors=True)
    return ended


def heartbeat(job: JobRow) -> HeartbeatReply:
    return HeartbeatReply.CONTINUE if job.extend_lease() else HeartbeatReply.LEASE_LOST
