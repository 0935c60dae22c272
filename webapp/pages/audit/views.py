"""The audit log for auditors: by patient, user, action and time, with who saw a patient, and as CSV."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from webapp.accounts.services import for_sites, signed_in
from webapp.audit.access import record_search
from webapp.audit.models import AuditEvent
from webapp.audit.selectors import Filters, events_before, events_found, people_of, who_saw
from webapp.audit.services import record
from webapp.core.spreadsheets import MARK, line
from webapp.pages.access import active_site, at_active_site
from webapp.pages.audit.words import action_in_words, detail_in_words, record_in_words
from webapp.pages.display import name_of_user
from webapp.pages.request_data import uuid_or_none
from webapp.scans.models import Patient, PatientMerge

ROWS_A_PAGE = 50
EXPORTED_AT_MOST = 100_000
ASKED = ("patient", "actor", "action", "since", "until")
GROUPS = (
    "patient.viewed", "patients.searched", "access.opened", "access.refused", "token.refused", "account.",
    "membership.", "invitation.", "role.", "token.", "scan.", "reading.", "label.", "report.made",
    "worklist.exported", "labels.exported", "snapshot.exported", "audit.exported", "model.", "training.",
    "command.run",
)  # fmt: skip
COLUMNS = (
    *("time", "user", "site", "action", "patient", "record", "channel", "address", "request_id", "detail"),
)


@require_safe
@at_active_site("audit.view")
def page(request: HttpRequest) -> HttpResponse:
    """The events that the query names (ids, actions, days), newest first."""
    user, filters = signed_in(request.user), _filters(request.GET)
    events = events_found(user, filters)
    before = uuid_or_none(request.GET.get("before", ""))
    if before and (last := events.filter(pk=before).first()):
        events = events_before(events, last)
    rows = list(events[: ROWS_A_PAGE + 1])
    query = request.GET.copy()
    query.pop("before", None)
    context = {
        "rows": [_row(one) for one in rows[:ROWS_A_PAGE]],
        "older": rows[ROWS_A_PAGE - 1].pk if len(rows) > ROWS_A_PAGE else None,
        "query": query.urlencode(),
        "asked": {
            name: request.GET.get(name, "") for name in ("patient", "actor", "action", "since", "until")
        },
        "people": people_of(user),
        "actions": [(code, action_in_words(code)) for code in GROUPS],
        "viewers": [_viewer(one) for one in who_saw(user, filters.patients)] if filters.patients else [],
    }
    return render(request, "audit/audit.html", context)


@require_POST
@at_active_site("audit.view")
def find(request: HttpRequest) -> HttpResponse:
    """Show the events of the patient with the ID POST `patient_id`, which stays out of every address."""
    user, typed = signed_in(request.user), request.POST.get("patient_id", "").strip()[:64]
    record_search(user=user, site=active_site(request), where="audit", terms=[typed])
    found = for_sites(Patient.objects.filter(patient_id=typed), user, "audit.view").first() if typed else None
    if found is None:
        messages.error(request, _("No patient of your sites has that ID."))
        return redirect("pages:audit")
    query = QueryDict(mutable=True)
    query["patient"] = str(found.pk)
    response = redirect("pages:audit")
    response["Location"] += f"?{query.urlencode()}"
    return response


@require_POST
@at_active_site("audit.view")
def export(request: HttpRequest) -> HttpResponse:
    """The events that the form names, as CSV that no spreadsheet takes for formulas."""
    user = signed_in(request.user)
    events = events_found(user, _filters(request.POST))[:EXPORTED_AT_MOST]
    record(actor=user, site=active_site(request), action="audit.exported")
    response: Any = StreamingHttpResponse(_lines(events), content_type="text/csv; charset=utf-8")
    name = f"hilum-audit-{timezone.localtime():%Y%m%d-%H%M}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _lines(events: Any) -> Iterator[str]:
    yield MARK + line(COLUMNS)
    for event in events.iterator(chunk_size=2000):
        detail = json.dumps(event.detail, sort_keys=True, ensure_ascii=False) if event.detail else ""
        yield line(
            [
                event.created_at.isoformat(timespec="milliseconds"),
                *(event.actor.username if event.actor else "", event.site.name if event.site else ""),
                *(event.action, event.patient or "", event.subject, event.channel, event.address),
                *(event.request_id, detail),
            ]
        )


def _filters(given: QueryDict) -> Filters:
    patient = uuid_or_none(given.get("patient", ""))
    until = _day(given.get("until", ""))
    return Filters(
        patients=_merged_into(patient) if patient else (),
        actor=uuid_or_none(given.get("actor", "")),
        action=given.get("action", "")[:64],
        since=_day(given.get("since", "")),
        until=until + timedelta(days=1) if until else None,
    )


def _merged_into(patient: UUID) -> set[UUID]:
    """The patient and everybody who was merged into them: what was seen of either is of one person."""
    found, newest = {patient}, {patient}
    while newest:
        sources = PatientMerge.objects.filter(target__in=newest, unmerged_at=None)
        newest = set(sources.values_list("source", flat=True)) - found
        found |= newest
    return found


def _day(text: str) -> datetime | None:
    try:
        return timezone.make_aware(datetime.combine(date.fromisoformat(text), time.min))
    except ValueError:
        return None


def _row(event: AuditEvent) -> dict[str, Any]:
    return {
        "event": event,
        "who": name_of_user(event.actor) if event.actor else event.detail.get("system_user", ""),
        "action": action_in_words(event.action),
        "record": record_in_words(event.subject),
        "detail": detail_in_words(event.detail or {}),
    }


def _viewer(counted: dict[str, Any]) -> dict[str, Any]:
    return counted | {"name": name_of_user(counted["user"]) if counted["user"] else ""}
