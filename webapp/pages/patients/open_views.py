"""Opening a study from other systems: by its identifiers, which are posted, or by our own id."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from webapp.analysis.models import StudySummary
from webapp.core.errors import CodedError
from webapp.scans.patients.records import studies_named, study_or_404


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Find a study by POST `study_instance_uid` or `accession_number`; a GET shows the form."""
    if request.method != "POST":
        return render(request, "patients/open.html")
    asked = {
        name: request.POST.get(name, "").strip()[:64] for name in ("study_instance_uid", "accession_number")
    }
    found = studies_named(request.user, **asked)
    if len(found) == 1:
        return redirect("pages:study", found[0].pk)
    context = {"found": found, "asked": asked, "nothing": not found}
    return render(request, "patients/open.html", context, status=200 if found else 404)


@require_safe
def study(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """The study's worst scan."""
    found = study_or_404(request.user, study_id)
    summary = StudySummary.objects.filter(study=found).first()
    if summary is None or summary.worst_scan_id is None:
        raise CodedError("not_found", _("This study no longer has any images."))
    return redirect("pages:scan", summary.worst_scan_id)
