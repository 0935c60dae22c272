"""What the top bar shows of monitoring."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from webapp.accounts.permissions import Permission
from webapp.accounts.services import active_membership
from webapp.monitoring.models import AlarmStatus
from webapp.monitoring.selectors import open_alarms


def alarms(request: HttpRequest) -> dict[str, object]:
    """`open_alarms`: unacknowledged ones of the active site; asked where shown, for who may manage them."""

    def count() -> int:
        membership = active_membership(request)
        if membership is None or Permission.ALARM_MANAGE not in membership.role.permissions:
            return 0
        return open_alarms(membership.site).filter(status=AlarmStatus.OPEN).count()

    user = getattr(request, "user", None)
    return {"open_alarms": SimpleLazyObject(count) if user and user.is_authenticated else 0}
