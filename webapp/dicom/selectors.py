"""Who a calling application entity is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from django.conf import settings
from django.db.models import Q

from webapp.dicom.models import Sender
from webapp.dicom.values import ANY_TITLE, is_within


class Refusal(Enum):
    """Why an association is rejected: its reason (PS3.8 table 9-21) and what to do about it."""

    CALLED = (7, "configure the sender to call one of the AE titles of this server")
    CALLING = (3, "add the sender with manage.py create_dicom_sender, or correct its AE title or address")
    AMBIGUOUS = (3, "two sites list this AE title and address; give each a called AE title of its own")

    def __init__(self, diagnostic: int, remedy: str) -> None:
        self.diagnostic = diagnostic
        self.remedy = remedy


@dataclass(frozen=True)
class Caller:
    """How an association was requested."""

    calling: str
    called: str
    address: str


def sender_of(caller: Caller) -> Sender | Refusal:
    """The active sender that the caller is; one named by its title comes before one of any title."""
    called = Q(called_title=caller.called)
    if caller.called == settings.DICOM_AE_TITLE:
        called |= Q(called_title="")
    here = list(Sender.objects.filter(called, active=True).select_related("site", "user", "report_to"))
    if not here:
        own = caller.called == settings.DICOM_AE_TITLE
        return Refusal.CALLING if own else Refusal.CALLED
    near = [one for one in here if is_within(caller.address, one.networks)]
    for title in (caller.calling, ANY_TITLE):
        named = [one for one in near if one.calling_title == title]
        if len(named) > 1:
            return Refusal.AMBIGUOUS
        if named:
            return named[0]
    return Refusal.CALLING
