"""Labels as files: out, in after a dry run; and manifests as history, with their images."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from webapp.core.errors import CodedError
from webapp.labels import exchange
from webapp.labels.manifests import (
    line_upload,
    manifest_read,
    manifest_take,
    manifests_visible,
    progress_of,
)
from webapp.labels.models import LineStatus, Manifest
from webapp.pages.access import active_site, at_active_site, demand
from webapp.pages.upload.views import body, declared_size, said_of_it

SHOWN = 20
WRONG_SHOWN = 100
MANAGE = "label.manage"
PROBLEMS = {
    "patient_conflict": gettext_lazy("this very image is filed to another patient"),
    "several_images": gettext_lazy("the file holds several images"),
    "no_image": gettext_lazy("the upload became no image of its own"),
    "said_twice": gettext_lazy("another line says otherwise of the same image"),
}


@require_http_methods(["GET", "HEAD", "POST"])
@at_active_site(MANAGE)
def transfer(request: HttpRequest) -> HttpResponse:
    """Labels in: POST `table`; nothing is done unless `take` is sent and no line is wrong."""
    site, context = active_site(request), {"problem": "", "report": None}
    if request.method == "POST":
        try:
            data, take = _file(request, "table"), "take" in request.POST
            report = exchange.labels_import(site=site, actor=request.user, data=data, dry_run=not take)
            context |= {
                "report": report,
                "taken": take and not report.wrongs,
                "counts": report.counts.items(),
            }
        except CodedError as error:
            if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code == "forbidden":
                raise
            context["problem"] = f"{error.message} {error.remedy}"
    context["left_out"] = exchange.labels_to_export(request.user, site)[1]
    return render(request, "labels/exchange.html", context, status=400 if context["problem"] else 200)


@require_POST
@at_active_site(MANAGE)
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The site's labels as CSV."""
    site = active_site(request)
    labels, _trail = exchange.labels_to_export(request.user, site)
    exchange.export_recorded(actor=request.user, site=site, count=labels.count())
    response = StreamingHttpResponse(exchange.lines(labels), content_type="text/csv; charset=utf-8")
    name = f"hilum-labels-{timezone.localtime():%Y%m%d-%H%M}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@at_active_site(MANAGE)
def manifests(request: HttpRequest) -> HttpResponse:
    """Take a manifest in: POST `table`, `name`, `day_zero`; without `take` only what is wrong is told."""
    site, context = active_site(request), {"problem": "", "report": None}
    if request.method == "POST":
        try:
            data = _file(request, "table")
            if "take" not in request.POST:
                lines, report = manifest_read(data)
                context |= {"report": report, "counts": report.counts.items(), "lines": len(lines)}
            else:
                manifest = manifest_take(
                    site=site,
                    actor=request.user,
                    name=request.POST.get("name", "").strip() or request.FILES["table"].name,
                    data=data,
                    day_zero=_day(request.POST.get("day_zero", "")),
                )
                messages.success(request, _("The manifest is taken in."))
                return redirect("pages:label_manifest", manifest.pk)
        except CodedError as error:
            if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code == "forbidden":
                raise
            context["problem"] = f"{error.message} {error.remedy}"
    known = list(manifests_visible(request.user).filter(site=site)[:SHOWN])
    counts = progress_of(known)
    context["manifests"] = [(one, counts[one.pk]) for one in known]
    return render(request, "labels/imports.html", context, status=400 if context["problem"] else 200)


@require_safe
def manifest(request: HttpRequest, manifest_id: UUID) -> HttpResponse:
    found = _manifest(request, manifest_id)
    return render(request, "labels/import.html", _state(found))


@require_safe
def manifest_state(request: HttpRequest, manifest_id: UUID) -> HttpResponse:
    """How far the manifest has come, as the fragment that the page puts in place."""
    return render(request, "labels/_import.html", _state(_manifest(request, manifest_id)))


@require_POST
def manifest_file(request: HttpRequest, manifest_id: UUID) -> JsonResponse:
    """Take the image of a line as the raw body; `line` and `filename` come in X-Hilum-Upload."""
    found = _manifest(request, manifest_id)
    demand(request, "scan.upload", found.site)
    size, said = declared_size(request), said_of_it(request)
    number = said.get("line")
    line = found.lines.filter(number=number).first() if isinstance(number, int) else None
    if line is None:
        raise CodedError("not_found")
    upload = line_upload(
        line=line,
        actor=request.user,
        chunks=body(request, size),
        declared=size,
        filename=str(said.get("filename") or "")[:255],
    )
    return JsonResponse({"id": str(upload.pk), "status": upload.status}, status=HTTPStatus.CREATED)


def _state(found: Manifest) -> dict:
    counts = progress_of([found])[found.pk]
    wrong = found.lines.filter(status=LineStatus.WRONG)[:WRONG_SHOWN]
    waiting = found.lines.filter(status=LineStatus.WAITING, upload=None).values_list("number", flat=True)
    return {
        "manifest": found,
        "total": sum(counts[status] for status in LineStatus.values),
        "counts": counts,
        "reading": counts["waiting"] - counts["missing"],
        "missing_lines": list(waiting),
        "wrong": [(line.number, PROBLEMS.get(line.problem, line.problem)) for line in wrong],
    }


def _manifest(request: HttpRequest, manifest_id: UUID) -> Manifest:
    found = manifests_visible(request.user).filter(pk=manifest_id).first()
    if found is None:
        raise CodedError("not_found")
    return found


def _file(request: HttpRequest, name: str) -> bytes:
    """The posted table's bytes; raises CodedError `too_large`, `empty_file`."""
    if name not in request.FILES:
        raise CodedError("empty_file", _("No table was chosen."), _("Choose a CSV file."))
    file = request.FILES[name]
    if file.size > exchange.BYTES_AT_MOST:
        raise CodedError("too_large", _("The table is larger than is accepted."), _("Split it."))
    return file.read()


def _day(text: str):
    try:
        return parse_date(text)
    except ValueError:
        return None
