"""The options of the worklist's filters: only values that occur."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from webapp.accounts.models import Site
from webapp.analysis.worklist.query import occurring
from webapp.analysis.worklist.triage import readers_at, tags_at
from webapp.pages.access import active_site
from webapp.pages.display import UNCERTAINTIES, name_of_finding, name_of_user
from webapp.pages.worklist.search import ASSIGNED, PROBABILITIES, READERS, RECEIVED, SORTS, STATUSES, Search

Option = tuple[str, str]


def filter_options(request: HttpRequest, search: Search) -> dict[str, Any]:
    """Template values of the filters; a fixed number of queries for each of the reader's sites."""
    memberships = request.user.memberships.select_related("site", "role")
    own = [membership.site for membership in memberships if "scan.view" in membership.role.permissions]
    sites = own if search.sites else [active_site(request)]
    findings = occurring("finding", sites)
    people = _readers(sites)
    return {
        "findings": findings,
        "several_sites": len(own) > 1,
        "views": list(request.user.worklist_views.all()),
        "selects": {
            "status": _select(_("Any status"), STATUSES),
            "finding": _select(_("Any finding"), [(f, name_of_finding(f)) for f in findings]),
            "probability": _select(_("Any probability"), _labels(PROBABILITIES)),
            "received": _select(_("Received any time"), _labels(RECEIVED)),
            "uncertainty": _select(_("Any uncertainty"), _uncertainties()),
            "modality": _select(_("Any modality"), [(m, m) for m in occurring("modality", sites)]),
            "reader": _select(_("Any reader"), [*READERS.items(), *people]),
            "assigned": _select(_("Assigned to anybody or nobody"), [*ASSIGNED.items(), *people]),
            "tag": _select(_("Any tag"), [(tag, tag) for tag in tags_at(sites)]),
            "marked": _select(_("Any mark"), [("me", _("Marked by me"))]),
            "sites": _select(_("This site"), [("all", _("All my sites"))]),
        },
        "sorts": list(SORTS.items()),
        "readers": people,
    }


def _select(unfiltered: str, options: Iterable[tuple[str, Any]]) -> list[Option]:
    return [("", unfiltered), *options]


def _labels(options: dict[str, Any]) -> list[Option]:
    return [(key, label) for key, (_value, label) in options.items()]


def _uncertainties() -> list[Option]:
    labels = {"low": _("Low uncertainty"), "medium": _("Medium uncertainty"), "high": _("High uncertainty")}
    return [(key, labels[key]) for key in UNCERTAINTIES]


def _readers(sites: list[Site]) -> list[Option]:
    """The members of these sites who may sign a reading."""
    people = readers_at(sites)
    return sorted(((str(user.pk), name_of_user(user)) for user in people), key=lambda option: option[1])
