"""The worklist: one row a study, filtered and ordered as the reader last asked."""

from __future__ import annotations

from http import HTTPStatus

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from webapp.analysis.models import SavedView
from webapp.analysis.worklist import views_and_marks as lists
from webapp.analysis.worklist.query import COUNTED_AT_MOST, count, count_of_all, visible, worklist_page
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.pages.access import active_site, at_active_site
from webapp.pages.worklist import export as worklist_export
from webapp.pages.worklist.choices import choices
from webapp.pages.worklist.rows import rows_of
from webapp.pages.worklist.search import Search, key_of
from webapp.scans.models import Upload

ROWS_A_PAGE = 40
CHOSEN_AT_MOST = 200
IN_FLIGHT = (Upload.Status.RECEIVED, Upload.Status.PARSING)


@require_http_methods(["GET", "HEAD", "POST"])
@at_active_site("scan.view")
def worklist(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        Search.take(request)
        return redirect("pages:worklist")
    context = _context(request)
    return render(request, "worklist/worklist.html", context | choices(request, context["search"]))


@require_safe
@at_active_site("scan.view")
def rows(request: HttpRequest) -> HttpResponse:
    """The table alone, for the page that keeps itself up to date."""
    return render(request, "worklist/_rows.html", _context(request))


@require_POST
@at_active_site("scan.view")
def save_view(request: HttpRequest) -> HttpResponse:
    """Keep the filters and the order that are set now, under POST `name`."""
    view = lists.view_save(
        user=request.user, name=request.POST.get("name", ""), search=Search.of(request).as_view()
    )
    messages.success(request, _("View “%(name)s” saved.") % {"name": view.name})
    return redirect("pages:worklist")


@require_POST
@at_active_site("scan.view")
def open_view(request: HttpRequest) -> HttpResponse:
    """Take the filters and the order of the view at POST `view`; an empty one is the whole list."""
    said = {}
    if asked := request.POST.get("view"):
        said = _view(request, asked).search
    Search.read(said).keep(request)
    return redirect("pages:worklist")


@require_POST
@at_active_site("scan.view")
def delete_view(request: HttpRequest) -> HttpResponse:
    view = _view(request, request.POST.get("view", ""))
    lists.view_delete(user=request.user, view_id=view.pk)
    messages.success(request, _("View “%(name)s” deleted.") % {"name": view.name})
    return redirect("pages:worklist")


@require_POST
@at_active_site("scan.view")
def bulk(request: HttpRequest) -> HttpResponse:
    """Do POST `action` (retry, mark, unmark, export) to the studies at POST `study`."""
    keys = [key for text in request.POST.getlist("study")[:CHOSEN_AT_MOST] if (key := key_of(text))]
    action = request.POST.get("action", "")
    if action == "export":
        chosen = Search.of(request).studies(request.user, active_site(request)).filter(study__in=keys)
        return _csv(request, chosen)
    if action == "retry":
        done = lists.studies_retry(user=request.user, studies=keys)
        said = ngettext("%d analysis queued again.", "%d analyses queued again.", done) % done
        messages.success(request, said if done else _("Nothing to retry: no selected study has failed."))
    elif action in ("mark", "unmark"):
        done = lists.studies_mark(user=request.user, studies=keys, marked=action == "mark")
        if action == "mark":
            text = ngettext("%d study marked.", "%d studies marked.", done)
        else:
            text = ngettext("%d study unmarked.", "%d studies unmarked.", done)
        messages.success(request, text % done)
    else:
        raise CodedError("invalid")
    return redirect("pages:worklist")


@require_POST
@at_active_site("scan.view")
def export(request: HttpRequest) -> HttpResponse:
    """The whole list as it is filtered now, as CSV."""
    return _csv(request, Search.of(request).studies(request.user, active_site(request)))


def _csv(request: HttpRequest, studies) -> HttpResponse:
    site = active_site(request)
    number = min(count(studies), COUNTED_AT_MOST)
    record(actor=request.user, site=site, action="worklist.exported", detail={"studies_at_least": number})
    response = StreamingHttpResponse(
        worklist_export.lines(studies), content_type="text/csv; charset=utf-8", status=HTTPStatus.OK
    )
    name = f"hilum-worklist-{timezone.localtime():%Y%m%d-%H%M}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _view(request: HttpRequest, text: str) -> SavedView:
    if not (key := key_of(text)):
        raise CodedError("not_found")
    return lists.view_or_404(user=request.user, view_id=key)


def _context(request: HttpRequest) -> dict[str, object]:
    site, search = active_site(request), Search.of(request)
    offered = visible(request.user, None if search.sites else site)
    page = worklist_page(
        search.among(offered, request.user),
        after=request.GET.get("after"),
        size=ROWS_A_PAGE,
        searched=bool(search.q.strip()),
    )
    whose = f"user:{request.user.pk}" if search.sites else f"site:{site.pk}"
    everything = count_of_all(offered, whose=whose) if search else page.total
    return {
        "rows": rows_of(page.rows, reader=request.user),
        "page": page,
        "first_page": "after" not in request.GET,
        "search": search,
        "filtered": bool(search),
        "everything": everything,
        "everything_is_capped": everything > COUNTED_AT_MOST,
        "in_flight": Upload.objects.filter(site=site, status__in=IN_FLIGHT).count(),
    }
