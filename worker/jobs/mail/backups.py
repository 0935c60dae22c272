"""E-mails to superusers about a scheduled backup that failed, where a mail server is configured."""

from __future__ import annotations

import logging
import smtplib

from django.conf import settings
from django.core.mail import send_mail

from webapp.accounts.models import User
from webapp.backup.models import BackupRun
from webapp.backup.services import failure_mailed
from webapp.core.jobs.table import JobStatus
from worker.support.safe_errors import describe

logger = logging.getLogger(__name__)

BODY = """The scheduled backup of Hilum failed: {code}.
It is tried again every hour. The log of the ingest worker has the cause.
Last complete backup: {last}.
"""


def send_backup_failures() -> int:
    """Send each failure once; returns how many. What cannot be sent now is retried the next time."""
    if not settings.HILUM_MAIL:
        return 0
    sent = 0
    people = User.objects.filter(is_superuser=True, is_active=True).exclude(email="")
    for run in BackupRun.objects.filter(status=JobStatus.FAILED, mailed_at=None, due_at__isnull=False):
        done = BackupRun.objects.filter(status=JobStatus.DONE).order_by("-finished_at").first()
        last = f"{done.finished_at:%Y-%m-%d %H:%M} UTC" if done and done.finished_at else "none"
        to = list(people.values_list("email", flat=True))
        try:
            if to:
                body = BODY.format(code=run.error_code, last=last)
                send_mail("[Hilum] The backup failed", body, None, to)
        except (smtplib.SMTPException, OSError) as error:
            logger.warning("failure of backup run %s was not sent: %s", run.pk, describe(error))
            return sent
        failure_mailed(run=run)
        sent += 1
    return sent
