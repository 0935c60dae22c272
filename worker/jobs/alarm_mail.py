"""Alarms by e-mail to those who answer for them, where a mail server is configured; no patient data."""

from __future__ import annotations

import logging
import smtplib

from django.conf import settings
from django.core.mail import send_mail

from webapp.monitoring.selectors import alarms_to_mail, recipients
from webapp.monitoring.services import alarm_mailed
from webapp.monitoring.texts import heading, sentence
from worker.support.safe_errors import describe

logger = logging.getLogger(__name__)

FOOT = "Open Monitoring in Hilum to acknowledge it.\n\nResearch use, not a medical device.\n"


def send_alarms() -> int:
    """Send every alarm that was not sent yet, once; what cannot be sent now is tried the next time."""
    if not settings.HILUM_MAIL:
        return 0
    sent = 0
    for alarm in alarms_to_mail():
        to = recipients(alarm.site)
        subject = f"[Hilum] {alarm.site}: {heading(alarm)}"
        body = (
            f"{sentence(alarm)}\nSite: {alarm.site}\nNoticed: {alarm.created_at:%Y-%m-%d %H:%M} UTC\n\n{FOOT}"
        )
        try:
            if to:
                send_mail(subject, body, None, to)
        except (smtplib.SMTPException, OSError) as error:
            logger.warning("alarm %s was not sent: %s", alarm.pk, describe(error))
            return sent
        alarm_mailed(alarm=alarm)
        sent += 1
    return sent
