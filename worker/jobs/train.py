"""Train: create a snapshot, validate its data, train on it, compare the candidate with the active model.

Each is a row of a job table, processed one at a time; what needs the library runs as `python -m classifier`
in a process group of its own, supervised until it ends. The artifact becomes a candidate version.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import threading
from dataclasses import asdict, fields
from functools import cache, partial
from pathlib import Path
from typing import Any

from django.conf import settings

from classifier.training import config as train_options
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.core.jobs.table import JobStatus
from webapp.registry.selectors import active_models, artifact_path
from webapp.settings.environment import version
from webapp.training import failures
from webapp.training.models import RunStatus, Start, TrainingRun, Trigger
from webapp.training.services import (
    HeartbeatReply,
    already_trained,
    training_claim,
    training_done,
    training_prepared,
    training_progress,
    training_skip,
)
from webapp.training.snapshots import snapshot_create
from worker.jobs.snapshot_integrity import is_unchanged
from worker.jobs.validation_and_comparison import compare_next, validate_next
from worker.runner import Heartbeat, Job, Unavailable
from worker.subprocess.classifier_process import ClassifierProcess, InUse
from worker.subprocess.supervise import Ended, supervise, tolerant
from worker.support.scratch import work_folder

logger = logging.getLogger(__name__)

USAGE_ERROR, KILLED = 2, -9
PREPARING_SECONDS = 60 * 60.0
# Set by the run's own columns and folder.
OURS = {
    *("manifest", "out", "cache", "seed", "resume", "json", "auxiliary", "validation", "slot"),
    "other_abnormality",
}
# A model that has learned already is to be moved gently, and its network stays as it is.
FINE_TUNING = {"epochs": 10, "lr": 1e-4, "progressive": False}
SHAPE = ("arch", "layers", "width", "activation", "size", "crop")


class TrainJob(Job):
    """One thing at a time. `interrupt` hands it back to the queue, to go on later (from its checkpoint)."""

    name = "train"

    def __init__(self) -> None:
        self._interrupted = threading.Event()

    def prepare(self) -> None:
        code_version()

    def close(self) -> None:
        self._interrupted.set()

    def interrupt(self) -> None:
        self._interrupted.set()

    def step(self) -> bool:
        # A training may last for days: what takes minutes goes first.
        return validate_next(self._interrupted) or compare_next(self._interrupted) or self._train_next()

    def _train_next(self) -> bool:
        run = training_claim(code_version=code_version())
        if run is None:
            return False
        if run.cancel_requested:
            run.finish(RunStatus.CANCELLED)
        elif unknown_options(run.config):
            fail(run, failures.OPTIONS_INVALID)
        elif not run.manifest and run.snapshot is None:
            prepare_snapshot(run)
        else:
            with Heartbeat(run, limit=PREPARING_SECONDS):
                wrong = unfit(run)
            if wrong:
                fail(run, wrong)
            else:
                self._train(run)
        return True

    def _train(self, run: TrainingRun) -> None:
        folder = work_folder(str(run.id))
        given = options_of(run) | validation_of(run, folder)
        process = ClassifierProcess(arguments(run, folder, given), folder)
        try:
            with process:
                logger.info("training run %s, attempt %d", run.id, run.attempts)
                ended = supervise(process, partial(beat, run, process, effective(given)), self._interrupted)
                conclude(run, process, ended)
        except InUse as error:
            run.release()
            raise Unavailable from error
        run.refresh_from_db()
        if run.finished:
            tidy(folder)


def prepare_snapshot(run: TrainingRun) -> None:
    """Create the run's snapshot and queue the run again: data validation comes first."""
    with Heartbeat(run, limit=PREPARING_SECONDS):
        try:
            snapshot, _ = snapshot_create(site=run.site, slot=run.slot, actor=run.started_by)
        except CodedError as error:
            if run.trigger != Trigger.PERSON and error.code == failures.NOTHING_LABELLED:
                training_skip(run=run, snapshot=None, code=error.code)
            else:
                fail(run, error.code)
            return
    if already_trained(run, snapshot):
        training_skip(run=run, snapshot=snapshot, code=failures.UNCHANGED)
    elif training_prepared(run=run, snapshot=snapshot, base=None):
        run.release()


def unfit(run: TrainingRun) -> str:
    """Why the run cannot begin, one of `failures`; empty when its data and weights are there."""
    if run.manifest:
        return "" if os.path.isfile(run.manifest) else failures.MANIFEST_MISSING
    if not is_unchanged(run.snapshot.stored_name, run.snapshot.fingerprint):
        return failures.DATA_CHANGED
    if run.start == Start.ACTIVE and run.base is None and not run.curve:
        base = active_models().get(run.slot)
        training_prepared(run=run, snapshot=run.snapshot, base=base)
    if run.base and not artifact_path(run.base).is_file():
        return failures.MODEL_MISSING
    return ""


def beat(run: TrainingRun, process: ClassifierProcess, options: dict[str, Any]) -> HeartbeatReply:
    return training_progress(
        run=run, progress=process.progress, curve=process.curve, log=process.log, options=options
    )


def conclude(run: TrainingRun, process: ClassifierProcess, ended: int | Ended) -> None:
    """A candidate, a coded failure, or what the reason for which it was ended asks for."""
    if ended is Ended.INTERRUPTED:
        run.release()
    elif ended is Ended.CANCELLED:
        run.finish(RunStatus.CANCELLED)
    elif ended is Ended.SILENT:
        fail(run, failures.SILENT)
    elif ended is Ended.LOST:
        logger.warning("training run %s was lost to another worker", run.id)
    elif code := failure_code(process, ended):
        logger.warning("training run %s ended with status %d", run.id, ended)
        fail(run, code)
    else:
        tolerant(partial(beat, run, process, run.options or effective(options_of(run))))
        version = training_done(run=run, artifact=process.artifact)
        logger.info("training run %s made %s", run.id, version)


def failure_code(process: ClassifierProcess, status: int) -> str:
    """One of `webapp.training.failures`, empty when an artifact was made."""
    if status == 0 and process.artifact:
        return ""
    if status == USAGE_ERROR:
        return failures.OPTIONS_INVALID
    last_error_line = process.last_error_line()
    if status == KILLED or "OutOfMemoryError" in last_error_line:
        return failures.OUT_OF_MEMORY
    return failures.DATA_REFUSED if last_error_line.startswith("training failed:") else failures.CRASHED


def fail(run: TrainingRun, code: str) -> None:
    logger.error("training run %s failed: %s; see stderr.log in its folder", run.id, code)
    run.fail(code)


def unknown_options(config: dict) -> set[str]:
    return set(config) - ({option.name for option in fields(train_options.Config)} - OURS)


def options_of(run: TrainingRun) -> dict[str, Any]:
    """The options that the run gives, by name.

    Input check and lung segmenter come from the active model: they are not trained here.
    """
    active = active_models().get(run.slot)
    carried = {"auxiliary": artifact_path(active)} if active else {}
    options = {"device": settings.HILUM_DEVICE, "slot": run.slot, "name": run.slot, **carried}
    if run.base:
        spec = run.base.model_spec
        shape = {name: getattr(spec, name) for name in SHAPE}
        shape["layers"] = list(shape["layers"])
        options |= {**FINE_TUNING, **shape, **run.config, "pretrained": artifact_path(run.base)}
    else:
        options |= run.config
    if run.snapshot:
        options["findings"] = list(run.snapshot.findings)
    return {**options, "seed": run.seed}


def validation_of(run: TrainingRun, folder: Path) -> dict[str, Path]:
    """The warnings of the snapshot's own data validation, so that the training does not validate it again."""
    validation = getattr(run.snapshot, "validation", None)
    if validation is None or validation.status != JobStatus.DONE or run.config.get("where"):
        return {}
    path = folder / "validation.json"
    found = {"images": run.snapshot.counts["images"], "warnings": validation.warnings}
    path.write_text(json.dumps(found))
    return {"validation": path}


def effective(options: dict[str, Any]) -> dict[str, Any]:
    """All options as they are used, defaults included, for the record; no paths."""
    arch = {name: options[name] for name in ("arch",) if name in options}
    known = (
        asdict(train_options.resolved(train_options.Config(manifest=Path(), out=Path(), **arch))) | options
    )
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in known.items()
        if value is not None and not isinstance(value, Path) and name not in (OURS - {"seed", "slot"})
    }


def arguments(run: TrainingRun, folder: Path, options: dict[str, Any] | None = None) -> list[str]:
    """Of `python -m classifier`; every value is bound to its option, so that none can pass for another."""
    manifest = run.manifest or storage.path_of(run.snapshot.stored_name)
    fixed = ["train", f"--manifest={manifest}", f"--out={folder}", "--json", "--resume"]
    given = options_of(run) if options is None else options
    return fixed + [argument(name, value) for name, value in given.items()]


def argument(name: str, value: object) -> str:
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"--{option}={text}"


def tidy(folder: Path) -> None:
    """Keep what a run reports; its images and checkpoint are needed no more."""
    shutil.rmtree(folder / "cache", ignore_errors=True)
    for name in ("checkpoint.safetensors", "checkpoint.partial"):
        (folder / name).unlink(missing_ok=True)


@cache
def code_version() -> str:
    """The git commit, with `-dirty` when the files differ from it; without git the program's version."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        described = subprocess.run(
            command, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=30, check=True
        )
        return described.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return version()
