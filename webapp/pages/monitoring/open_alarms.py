"""What the top bar shows of monitoring."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from webapp.accounts.services import active_membership
from webapp.monitoring.models import Alarm, AlarmStatus


def alarms(request: HttpRequest) -> dict[str, object]:
    """`open_alarms`: how many alarms of the active site nobody acknowledged; asked where shown."""

    def count() -> int:
        membership = active_membership(request)
        if membership is None:
            return 0
        return Alarm.objects.filter(site=membership.site_id, status=AlarmStatus.OPEN).count()

    user = getattr(request, "user", None)
    return {"open_alarms": SimpleLazyObject(count) if user and user.is_authenticated else 0}
