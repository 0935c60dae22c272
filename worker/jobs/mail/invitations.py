"""E-mails with the link of an invitation, where a mail server is configured."""

from __future__ import annotations

import logging
import smtplib

from django.conf import settings
from django.core.mail import send_mail

from webapp.accounts.members.selectors import invitations_to_mail
from webapp.accounts.members.services import INVITATION_DAYS, invitation_link, invitation_mailed
from worker.support.safe_errors import describe

logger = logging.getLogger(__name__)

BODY = """You are invited to Hilum at {site}, as {role}.

Create your account within {days} days:
{link}

The link works once. If you did not expect it, ignore this message.
"""


def send_invitations() -> int:
    """Send each invitation once; returns how many. What cannot be sent now is retried the next time."""
    if not settings.HILUM_MAIL:
        return 0
    sent = 0
    for invitation in invitations_to_mail():
        link = invitation_link(invitation)
        body = BODY.format(site=invitation.site, role=invitation.role, days=INVITATION_DAYS, link=link)
        try:
            send_mail(f"[Hilum] Invitation to {invitation.site}", body, None, [invitation.email])
        except (smtplib.SMTPException, OSError) as error:
            logger.warning("invitation %s was not sent: %s", invitation.pk, describe(error))
            return sent
        invitation_mailed(invitation=invitation)
        sent += 1
    return sent
