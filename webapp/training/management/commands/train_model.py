"""`manage.py train_model --manifest CSV --by USER [--set epochs=3 ...]`: queue a training run."""

from __future__ import annotations

import json
import time
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from webapp.accounts.management.lookup import site_of, user_named
from webapp.core.errors import CodedError
from webapp.training.models import RunStatus, TrainingRun
from webapp.training.services import training_start

LOOK_SECONDS = 2.0


class Command(BaseCommand):
    help = "Queue a training run for the training worker; what it makes becomes a candidate, never active."

    def add_arguments(self, parser) -> None:
        parser.add_argument(
            "--manifest",
            type=Path,
            required=True,
            help="CSV with image,finding,patient; see docs/training.md",
        )
        parser.add_argument("--by", required=True, help="user name of the person who starts it")
        parser.add_argument("--site", help="the site's slug; left out: the user's default site")
        parser.add_argument("--everywhere", action="store_true", help="the model belongs to all sites")
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="an option of `python -m classifier train`, such as epochs=3; may be repeated",
        )
        parser.add_argument("--wait", action="store_true", help="stay until the run has ended")

    def handle(self, *, manifest: Path, by: str, wait: bool, **options) -> None:
        user = user_named(by)
        site = None if options["everywhere"] else site_of(user, options["site"])
        if not manifest.is_file():
            raise CommandError(f"There is no file {manifest}.")
        try:
            run = training_start(
                site=site, actor=user, manifest=str(manifest.absolute()), config=settings_of(options["set"])
            )
        except CodedError as error:
            details = "; ".join(f"{name}: {' '.join(reasons)}" for name, reasons in error.fields.items())
            raise CommandError(f"{error.message} {details or error.remedy}") from error
        self.stdout.write(f"{run} is queued.")
        if wait:
            self.follow(run)

    def follow(self, run: TrainingRun) -> None:
        """Print each change until the run has ended; CommandError if it ends without a model."""
        printed = ""
        while True:
            now = f"{run.status} {run.percent} %"
            if now != printed:
                self.stdout.write(now)
                printed = now
            if run.finished:
                break
            time.sleep(LOOK_SECONDS)
            run.refresh_from_db()
        if run.status == RunStatus.DONE:
            self.stdout.write(f"{run.candidate} is a candidate now: {run.candidate_id}")
        elif run.failure:
            raise CommandError(f"{run.failure.message} {run.failure.remedy} ({run.error_code})")
        else:
            raise CommandError("The run was cancelled.")


def settings_of(pairs: list[str]) -> dict[str, object]:
    """`["epochs=3", "layers=1,1,1,1"]` as options; numbers, true and false are read as such."""
    options: dict[str, object] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise CommandError(f"--set wants NAME=VALUE, not {pair!r}.")
        options[name.strip().replace("-", "_")] = _value(text.strip())
    return options


def _value(text: str) -> object:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text
