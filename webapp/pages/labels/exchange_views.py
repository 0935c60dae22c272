"""Labels as CSV: export, and import after validation; labelled data sets by manifest, with their images."""

from __future__ import annotations

from datetime import date
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

from webapp.accounts.services import demand, signed_in
from webapp.core.errors import CodedError
from webapp.core.queries import get_or_404
from webapp.core.spreadsheets import check_size
from webapp.labels import import_export
from webapp.labels.manifests import (
    line_upload,
    manifest_import,
    manifest_parse,
    manifests_visible,
    progress_of,
)
from webapp.labels.models import LineStatus, Manifest
from webapp.pages.access import active_site, at_active_site
from webapp.pages.display import name_of_finding
from webapp.pages.manifest_preview import DATE_ORDERS, ENCODINGS, preview_of, reading_of
from webapp.pages.request_data import body_chunks, declared_size, upload_header
from webapp.scans.uploads.manifest import date_order_remember

MAX_MANIFESTS = 20
MAX_PROBLEMS = 100
MANAGE = "label.manage"
PROBLEMS = {
    "patient_conflict": gettext_lazy("This image is already filed under another patient."),
    "several_images": gettext_lazy("The file contains several images."),
    "no_image": gettext_lazy("The upload contains no image of its own."),
    "conflicting_lines": gettext_lazy("Another line labels the same image differently."),
}
COUNTS = {
    "skipped": gettext_lazy("skipped (superseded)"),
    "with_findings": gettext_lazy("with findings"),
    "no_finding": gettext_lazy("without a finding"),
}


@require_http_methods(["GET", "HEAD", "POST"])
@at_active_site(MANAGE)
def transfer(request: HttpRequest) -> HttpResponse:
    """Import labels: POST `table`; only with `import`, and only if no line is wrong, is anything changed."""
    site, context = active_site(request), {"problem": "", "report": None}
    if request.method == "POST":
        try:
            importing = "import" in request.POST
            report = import_export.labels_import(
                site=site,
                actor=request.user,
                data=_table(request),
                name=_name(request),
                dry_run=not importing,
            )
            context |= _report_context(report) | {"imported": importing and not report.error_count}
        except CodedError as error:
            context["problem"] = _problem(error)
    context["left_out"] = import_export.labels_to_export(request.user, site)[1]
    return render(request, "labels/exchange.html", context, status=400 if context["problem"] else 200)


@require_POST
@at_active_site(MANAGE)
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The site's labels as CSV."""
    site = active_site(request)
    labels, _left_out = import_export.labels_to_export(request.user, site)
    import_export.export_recorded(actor=request.user, site=site, count=labels.count())
    response = StreamingHttpResponse(import_export.lines(labels), content_type="text/csv; charset=utf-8")
    name = f"hilum-labels-{timezone.localtime():%Y%m%d-%H%M}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@at_active_site(MANAGE)
def manifests(request: HttpRequest) -> HttpResponse:
    """Import a manifest: POST `table`, `name`, `day_zero`, `date_order`, `encoding`.

    Without `import` it is only validated, and its first rows are shown. The script asks for this part alone
    (`preview`).
    """
    site, context = active_site(request), {"problem": "", "report": None}
    if request.method == "POST":
        try:
            data, reading = _table(request), reading_of(request)
            if "import" in request.POST:
                manifest = manifest_import(
                    site=site,
                    actor=request.user,
                    name=request.POST.get("name", "").strip() or request.FILES["table"].name,
                    data=data,
                    day_zero=_date(request.POST.get("day_zero", "")),
                    reading=reading,
                )
                date_order_remember(site=site, actor=signed_in(request.user), order=reading.dates)
                messages.success(request, _("Manifest imported."))
                return redirect("pages:label_manifest", manifest.pk)
            parsed = manifest_parse(data, site=site, name=_name(request), reading=reading)
            context |= _report_context(parsed.report) | preview_of(parsed.table)
        except CodedError as error:
            context["problem"] = _problem(error)
    context |= {"date_orders": DATE_ORDERS, "encodings": ENCODINGS}
    if "preview" in request.POST:
        return render(request, "labels/_manifest_check.html", context)
    imported = list(manifests_visible(request.user).filter(site=site)[:MAX_MANIFESTS])
    counts = progress_of(imported)
    context["manifests"] = [(one, counts[one.pk]) for one in imported]
    return render(request, "labels/manifests.html", context, status=400 if context["problem"] else 200)


@require_safe
def manifest(request: HttpRequest, manifest_id: UUID, template: str = "labels/manifest.html") -> HttpResponse:
    """A manifest, or as `labels/_manifest_progress.html` the part of its page that the script refreshes."""
    return render(request, template, _manifest_context(_manifest_or_404(request, manifest_id)))


@require_POST
def manifest_file(request: HttpRequest, manifest_id: UUID) -> JsonResponse:
    """Upload the image of a line as the raw body; `line` and `filename` are in the X-Hilum-Upload header."""
    manifest = _manifest_or_404(request, manifest_id)
    demand(request.user, "scan.upload", manifest.site)
    size, stated = declared_size(request), upload_header(request)
    number = stated.get("line")
    line = manifest.lines.filter(number=number).first() if isinstance(number, int) else None
    if line is None:
        raise CodedError("not_found")
    upload = line_upload(
        line=line,
        actor=request.user,
        chunks=body_chunks(request, size),
        declared=size,
        filename=str(stated.get("filename") or "")[:255],
    )
    return JsonResponse({"id": str(upload.pk), "status": upload.status}, status=HTTPStatus.CREATED)


def _report_context(report: import_export.ImportReport) -> dict:
    counts = [(COUNTS.get(name, name), number) for name, number in report.counts.items()]
    return {"report": report, "counts": counts}


def _manifest_context(manifest: Manifest) -> dict:
    counts = progress_of([manifest])[manifest.pk]
    wrong = manifest.lines.filter(status=LineStatus.FAILED)[:MAX_PROBLEMS]
    missing = manifest.lines.filter(status=LineStatus.WAITING, upload=None)
    return {
        "manifest": manifest,
        "findings": ", ".join(map(name_of_finding, manifest.findings)),
        "total": sum(counts[status] for status in LineStatus.values),
        "counts": counts,
        "matching": manifest.looked_at is None and counts["missing"] > 0,
        "processing": counts["waiting"] - counts["missing"],
        "missing_lines": list(missing.values_list("number", flat=True)),
        "wrong": [(line.number, PROBLEMS.get(line.problem, line.problem)) for line in wrong],
    }


def _manifest_or_404(request: HttpRequest, manifest_id: UUID) -> Manifest:
    return get_or_404(manifests_visible(request.user), manifest_id)


def _table(request: HttpRequest) -> bytes:
    """The posted CSV's bytes; raises CodedError `too_large`, `empty_file`."""
    if "table" not in request.FILES:
        raise CodedError("empty_file", _("No file selected."), _("Choose a CSV file."))
    file = request.FILES["table"]
    check_size(file.size)
    return file.read()


def _name(request: HttpRequest) -> str:
    return request.FILES["table"].name


def _problem(error: CodedError) -> str:
    """The error as text for the page; raises it again where the page cannot help."""
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code == "forbidden":
        raise error
    return f"{error.message} {error.remedy}"


def _date(text: str) -> date | None:
    try:
        return parse_date(text)
    except ValueError:
        return None
