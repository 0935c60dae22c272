"""What waits at the active site, the urgency rule, and the acts on selected studies before they are read."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from webapp.accounts.models import Site, User
from webapp.accounts.services import can, demand, signed_in
from webapp.analysis.worklist import triage
from webapp.analysis.worklist.query import unread_count
from webapp.analysis.worklist.urgency import PERMISSION, latest_urgent, rules_of, rules_set
from webapp.core.errors import CodedError
from webapp.pages.access import active_site, at_active_site
from webapp.pages.feedback import errors_shown
from webapp.pages.request_data import uuid_or_none
from webapp.registry.selectors import active_models

WAITING_AT_MOST = 1000
ACTS = ("urgent", "not_urgent", "assign", "tag", "untag")


@require_safe
@at_active_site("scan.view")
def waiting(request: HttpRequest) -> JsonResponse:
    """How many studies are unread, and the newest urgent one of them; no patient data."""
    site = active_site(request)
    number, case = unread_count(site, WAITING_AT_MOST), latest_urgent(site)
    urgent = case and {
        "id": str(case.pk),
        "text": _("A new urgent study has arrived."),
        "href": reverse("pages:study", args=[case.study_id]),
    }
    return JsonResponse({"unread": number, "more": number == WAITING_AT_MOST, "urgent": urgent})


@require_http_methods(["GET", "HEAD", "POST"])
@at_active_site("scan.view")
def urgency(request: HttpRequest) -> HttpResponse:
    """The site's rule: POST `at_least-FINDING` for each finding, empty for none."""
    site = active_site(request)
    if request.method == "POST":
        demand(request.user, PERMISSION, site)
        with errors_shown(request):
            rules_set(site=site, actor=signed_in(request.user), rules=_rules(request))
            messages.success(request, _("Urgency rule saved. It applies to unread studies at once."))
        return redirect("pages:worklist_urgency")
    rules = rules_of(site)
    context = {
        "rows": [(f, f"{rules[f]:g}" if f in rules else "") for f in _findings(site)],
        "may_change": can(request.user, PERMISSION, site),
        "site": site,
    }
    return render(request, "worklist/urgency.html", context)


def act(request: HttpRequest, action: str, studies: Iterable[UUID]) -> None:
    """Apply one of `ACTS` to the studies, and report what was done."""
    user: User = request.user  # type: ignore[assignment]  # signed in
    tag = request.POST.get("tag", "")
    if action in ("urgent", "not_urgent"):
        done = triage.studies_flag(user=user, studies=studies, urgent=action == "urgent")
        if action == "urgent":
            text = ngettext("%d study flagged as urgent.", "%d studies flagged as urgent.", done)
        else:
            text = ngettext("%d study flagged as not urgent.", "%d studies flagged as not urgent.", done)
    elif action == "assign":
        reader = _reader(request)
        done = triage.studies_assign(user=user, studies=studies, reader=reader)
        text = ngettext("%d study assigned.", "%d studies assigned.", done)
        if reader is None:
            text = ngettext("%d study no longer assigned.", "%d studies no longer assigned.", done)
    else:
        done = triage.studies_tag(user=user, studies=studies, name=tag, remove=action == "untag")
        text = ngettext("%d study tagged.", "%d studies tagged.", done)
        if action == "untag":
            text = ngettext("Tag removed from %d study.", "Tag removed from %d studies.", done)
    messages.success(request, text % done)


def _reader(request: HttpRequest) -> User | None:
    """The reader POST `reader`: a key, `me`, or empty for nobody."""
    asked = request.POST.get("reader", "")
    if asked == "me":
        return request.user  # type: ignore[return-value]
    if not asked:
        return None
    key = uuid_or_none(asked)
    found = User.objects.filter(pk=key).first() if key else None
    if found is None:
        raise CodedError("invalid", _("This reader does not exist."), _("Choose one of the list."))
    return found


def _findings(site: Site) -> list[str]:
    models = active_models().values()
    named = {finding for version in models for finding in version.model_spec.findings}
    return sorted((named | set(rules_of(site))) - {"normal"})


def _rules(request: HttpRequest) -> dict[str, float]:
    rules = {}
    for finding in _findings(active_site(request)):
        entered = request.POST.get(f"at_least-{finding}", "").strip().replace(",", ".")
        if not entered:
            continue
        try:
            rules[finding] = float(entered)
        except ValueError as error:
            raise CodedError(
                "invalid",
                _("“%(value)s” is not a probability.") % {"value": entered[:20]},
                _("Use a number from 0 to 1, such as 0.90."),
            ) from error
    return rules
