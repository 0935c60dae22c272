"""E-mails about urgent studies to readers who asked for them, where mail is configured; no patient data."""

from __future__ import annotations

import logging
import smtplib
from datetime import timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.utils import timezone

from webapp.analysis.worklist.urgency import case_mailed, cases_to_mail, mail_recipients
from webapp.monitoring.texts import local_time
from worker.support.safe_errors import describe

logger = logging.getLogger(__name__)

# An older case is not news: it was found while mail was not configured, or the server was down.
NEWS = timedelta(hours=12)
BODY = (
    "An urgent study arrived at {site}, {time}. It is unread.\n\n"
    "To open it, sort the worklist in Hilum by “Urgent, then longest waiting”.\n\n"
    "Research use, not a medical device.\n"
)


def send_urgent_cases() -> int:
    """Send each urgent case once; returns how many. What cannot be sent now is retried the next time."""
    if not settings.HILUM_MAIL:
        return 0
    sent = 0
    for case in cases_to_mail():
        to = mail_recipients(case.site) if timezone.now() - case.created_at < NEWS else []
        body = BODY.format(site=case.site, time=local_time(case.created_at, case.site))
        try:
            for address in to:
                send_mail(f"[Hilum] {case.site}: urgent study", body, None, [address])
        except (smtplib.SMTPException, OSError) as error:
            logger.warning("urgent case %s was not sent: %s", case.pk, describe(error))
            return sent
        case_mailed(case=case)
        sent += bool(to)
    return sent
