"""Train: a run becomes `python -m classifier train` in a process group of its own, minded until it ends.

Nothing here touches the active model: the artifact is registered as a candidate.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import threading
import time
import tomllib
from functools import cache
from pathlib import Path

from django.conf import settings
from django.db import connections

from classifier import train_options
from classifier.contract import Slot
from webapp.registry.selectors import active_models, artifact_path
from webapp.training import failures
from webapp.training.models import TrainingRun
from webapp.training.services import (
    Order,
    training_cancelled,
    training_claim,
    training_done,
    training_fail,
    training_progress,
    training_release,
)
from worker.drain import TRANSIENT, Unavailable
from worker.training_process import InUse, TrainingProcess
from worker.trouble import describe

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
BEAT_SECONDS = 5.0
SILENCE_SECONDS = 2 * 60 * 60.0
USAGE_ERROR, KILLED = 2, -9
# The run's own columns and folder say these.
OURS = {"manifest", "out", "cache", "seed", "resume", "json", "companions"}


class TrainJob:
    """One run at a time. `interrupt` hands it back to the queue, to go on later from its checkpoint."""

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
        run = training_claim(code_version=code_version())
        if run is None:
            return False
        token = run.attempt_token
        if run.cancel_requested:
            training_cancelled(run=run, token=token)
        elif not os.path.isfile(run.manifest):
            fail(run, failures.MANIFEST_MISSING)
        elif unknown_options(run.config):
            fail(run, failures.OPTIONS_INVALID)
        else:
            self._train(run)
        return True

    def _train(self, run: TrainingRun) -> None:
        folder = folder_of(run)
        try:
            with TrainingProcess(arguments(run, folder), folder) as process:
                self._mind(run, process)
        except InUse as error:
            training_release(run.attempt_token)
            raise Unavailable from error
        run.refresh_from_db()
        if run.finished:
            tidy(folder)

    def _mind(self, run: TrainingRun, process: TrainingProcess) -> None:
        """Until the training has ended by itself, or has to be ended."""
        logger.info("training run %s, attempt %d", run.id, run.attempts)
        token, beat_at = run.attempt_token, 0.0
        while (status := process.listen(LOOK_SECONDS)) is None:
            if self._interrupted.is_set():
                process.end()
                training_release(token)
                return
            if process.silent_seconds > SILENCE_SECONDS:
                process.end()
                fail(run, failures.SILENT)
                return
            if time.monotonic() >= beat_at:
                beat_at = time.monotonic() + BEAT_SECONDS
                order = beat(run, process)
                if order is not Order.GO_ON:
                    process.end()
                    logger.info("training run %s: %s", run.id, order)
                    if order is Order.CANCEL:
                        training_cancelled(run=run, token=token)
                    return
        conclude(run, process, status)


def beat(run: TrainingRun, process: TrainingProcess) -> Order:
    """A database that is away for a moment does not end the training; a lease that is lost by then does."""
    try:
        return training_progress(run=run, token=run.attempt_token, progress=process.progress)
    except TRANSIENT as error:
        logger.warning("heartbeat: %s", describe(error))
        connections.close_all()
        return Order.GO_ON


def conclude(run: TrainingRun, process: TrainingProcess, status: int) -> None:
    """The training has ended by itself: a candidate, or a coded failure."""
    code = failure_code(process, status)
    if code:
        logger.warning("training run %s ended with status %d", run.id, status)
        fail(run, code)
        return
    beat(run, process)
    version = training_done(run=run, token=run.attempt_token, artifact=process.artifact)
    logger.info("training run %s made %s", run.id, version)


def failure_code(process: TrainingProcess, status: int) -> str:
    """One of `webapp.training.failures`, empty when an artifact was made."""
    if status == 0 and process.artifact:
        return ""
    if status == USAGE_ERROR:
        return failures.OPTIONS_INVALID
    last_words = process.last_words()
    if status == KILLED or "OutOfMemoryError" in last_words:
        return failures.OUT_OF_MEMORY
    return failures.DATA_REFUSED if last_words.startswith("training failed:") else failures.CRASHED


def fail(run: TrainingRun, code: str) -> None:
    logger.error("training run %s failed: %s; its own words stand in its folder", run.id, code)
    training_fail(run=run, token=run.attempt_token, code=code)


def unknown_options(config: dict) -> set[str]:
    return set(config) - (train_options.OPTIONS.keys() - OURS) - {"progressive"}


def arguments(run: TrainingRun, folder: Path) -> list[str]:
    """Of `python -m classifier`; every value is bound to its option, so that none can pass for another.

    Gate and lung segmenter come from the active model: they outlive the classifiers that are trained here.
    """
    active = active_models().get(run.config.get("slot", Slot.CXR))
    carried = {"companions": artifact_path(active)} if active else {}
    options = {"device": settings.HILUM_DEVICE, **carried, **run.config, "seed": run.seed}
    fixed = ["train", f"--manifest={run.manifest}", f"--out={folder}", "--json", "--resume"]
    return fixed + [argument(name, value) for name, value in options.items()]


def argument(name: str, value: object) -> str:
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"--{option}={text}"


def folder_of(run: TrainingRun) -> Path:
    folder = settings.HILUM_DATA / "training" / str(run.id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def tidy(folder: Path) -> None:
    """Keep what a run reports; its pictures and checkpoint are needed no more."""
    shutil.rmtree(folder / "cache", ignore_errors=True)
    for name in ("checkpoint.safetensors", "checkpoint.partial"):
        (folder / name).unlink(missing_ok=True)


@cache
def code_version() -> str:
    """The git commit, with `-dirty` when the files differ from it; without git the program's version."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        said = subprocess.run(
            command, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=30, check=True
        )
        return said.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]
        return project["version"]
