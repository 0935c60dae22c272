"""E-mails about alarms to the members who manage them, where a mail server is configured; no patient data."""

from __future__ import annotations

import logging
import smtplib

from django.conf import settings
from django.core.mail import send_mail

from webapp.monitoring.selectors import alarms_to_mail, recipients
from webapp.monitoring.services import alarm_mailed
from webapp.monitoring.texts import heading, local_time, sentence
from worker.support.safe_errors import describe

logger = logging.getLogger(__name__)

FOOTER = "To acknowledge the alarm, open Monitoring in Hilum.\n\nResearch use, not a medical device.\n"


def send_alarms() -> int:
    """Send each new alarm once; returns how many. What cannot be sent now is retried the next time."""
    if not settings.HILUM_MAIL:
        return 0
    sent = 0
    for alarm in alarms_to_mail():
        to = recipients(alarm.site)
        subject = f"[Hilum] {alarm.site}: {heading(alarm)}"
        detected = local_time(alarm.created_at, alarm.site)
        body = f"{sentence(alarm)}\nSite: {alarm.site}\nDetected: {detected}\n\n{FOOTER}"
        try:
            if to:
                send_mail(subject, body, None, to)
        except (smtplib.SMTPException, OSError) as error:
            logger.warning("alarm %s was not sent: %s", alarm.pk, describe(error))
            return sent
        alarm_mailed(alarm=alarm)
        sent += 1
    return sent
