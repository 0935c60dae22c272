"""The worklist: one row a study, with the reader's last filters and sort order."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from webapp.accounts.preferences import preferences_of
from webapp.accounts.services import signed_in
from webapp.analysis.models import SavedView
from webapp.analysis.worklist import views_and_marks as lists
from webapp.analysis.worklist.query import COUNTED_AT_MOST, count, count_of_all, visible, worklist_page
from webapp.audit.access import record_search
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.pages.access import active_site, at_active_site
from webapp.pages.feedback import errors_shown
from webapp.pages.request_data import uuid_or_none
from webapp.pages.worklist import triage_views
from webapp.pages.worklist.columns import choices, columns_of, headers
from webapp.pages.worklist.export import csv_lines
from webapp.pages.worklist.filter_options import filter_options
from webapp.pages.worklist.rows import rows_of
from webapp.pages.worklist.search import Search
from webapp.scans.models import Upload

ROWS_A_PAGE = 40
SELECTED_AT_MOST = 200
IN_PROGRESS = (Upload.Status.RECEIVED, Upload.Status.PARSING)


@require_http_methods(["GET", "HEAD", "POST"])
@at_active_site("scan.view")
def worklist(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        search = Search.from_post(request)
        site = active_site(request)
        record_search(user=signed_in(request.user), site=site, where="worklist", terms=[search.q])
        return redirect("pages:worklist")
    context = _context(request)
    return render(request, "worklist/worklist.html", context | filter_options(request, context["search"]))


@require_safe
@at_active_site("scan.view")
def rows(request: HttpRequest) -> HttpResponse:
    """The table alone, for the page that polls it."""
    return render(request, "worklist/_rows.html", _context(request))


@require_POST
@at_active_site("scan.view")
def save_view(request: HttpRequest) -> HttpResponse:
    """Save the current filters and sort order under POST `name`."""
    view = lists.view_save(
        user=request.user, name=request.POST.get("name", ""), search=Search.from_session(request).as_view()
    )
    messages.success(request, _("View “%(name)s” saved.") % {"name": view.name})
    return redirect("pages:worklist")


@require_POST
@at_active_site("scan.view")
def open_view(request: HttpRequest) -> HttpResponse:
    """Apply the saved view with the id POST `view`; an empty one clears all filters."""
    view_id = request.POST.get("view")
    values = _view(request, view_id).search if view_id else {}
    Search.from_values(values).save(request)
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
    """Apply POST `action` (retry, mark, unmark, export, or of `triage_views`) to the studies POST `study`."""
    keys = [key for text in request.POST.getlist("study")[:SELECTED_AT_MOST] if (key := uuid_or_none(text))]
    action = request.POST.get("action", "")
    if action == "export":
        selected = (
            Search.from_session(request).studies(request.user, active_site(request)).filter(study__in=keys)
        )
        return _csv(request, selected)
    if action == "retry":
        done = lists.studies_retry(user=request.user, studies=keys)
        text = ngettext("%d analysis queued again.", "%d analyses queued again.", done) % done
        messages.success(request, text if done else _("Nothing to retry: no selected study has failed."))
    elif action in ("mark", "unmark"):
        done = lists.studies_mark(user=request.user, studies=keys, marked=action == "mark")
        if action == "mark":
            text = ngettext("%d study marked.", "%d studies marked.", done)
        else:
            text = ngettext("%d study unmarked.", "%d studies unmarked.", done)
        messages.success(request, text % done)
    elif action in triage_views.ACTS:
        with errors_shown(request):
            triage_views.act(request, action, keys)
    else:
        raise CodedError("invalid", _("“%(action)s” is not an action.") % {"action": action[:20]})
    return redirect("pages:worklist")


@require_POST
@at_active_site("scan.view")
def sort(request: HttpRequest) -> HttpResponse:
    """Order the list by POST `sort`; the filters stay."""
    search = Search.from_session(request)
    Search.from_values(asdict(search) | {"sort": request.POST.get("sort", "")}).save(request)
    return redirect("pages:worklist")


@require_POST
@at_active_site("scan.view")
def export(request: HttpRequest) -> HttpResponse:
    """The filtered list as CSV."""
    return _csv(request, Search.from_session(request).studies(request.user, active_site(request)))


def _csv(request: HttpRequest, studies) -> HttpResponse:
    site = active_site(request)
    number = min(count(studies), COUNTED_AT_MOST)
    record(actor=request.user, site=site, action="worklist.exported", detail={"studies_at_least": number})
    response = StreamingHttpResponse(
        csv_lines(studies, reader=signed_in(request.user)),
        content_type="text/csv; charset=utf-8",
        status=HTTPStatus.OK,
    )
    name = f"hilum-worklist-{timezone.localtime():%Y%m%d-%H%M}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _view(request: HttpRequest, text: str) -> SavedView:
    if not (key := uuid_or_none(text)):
        raise CodedError("not_found")
    return lists.view_or_404(user=request.user, view_id=key)


def _context(request: HttpRequest) -> dict[str, object]:
    site, search = active_site(request), Search.from_session(request)
    listed = visible(request.user, None if search.sites else site)
    preferences = preferences_of(request.user)
    columns = columns_of(preferences)
    page = worklist_page(
        search.among(listed, request.user),
        after=request.GET.get("after"),
        before=request.GET.get("before"),
        size=ROWS_A_PAGE,
        searched=bool(search.q.strip()),
    )
    scope = f"user:{request.user.pk}" if search.sites else f"site:{site.pk}"
    everything = count_of_all(listed, whose=scope) if search else page.total
    return {
        "rows": rows_of(page.rows, reader=request.user),
        "page": page,
        "columns": headers(columns, search.sort),
        "column_choices": choices(columns),
        "density": preferences["worklist_density"],
        "search": search,
        "filtered": bool(search),
        "everything": everything,
        "everything_is_capped": everything > COUNTED_AT_MOST,
        "in_progress": Upload.objects.filter(site=site, status__in=IN_PROGRESS).count(),
    }
