"""The worklist's search and filters, kept in the session so that no name appears in an address."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Self

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from webapp.accounts.models import Site, User
from webapp.analysis.models import StudySummary
from webapp.analysis.worklist.query import ORDERS, Filters, narrowed, visible
from webapp.labels.read_first import HiddenResults
from webapp.pages.display import UNCERTAINTIES
from webapp.pages.request_data import uuid_or_none

_SESSION_KEY = "worklist"
ANY = (None, None)
STATUSES = [
    (StudySummary.Status.DONE, _("Result")),
    (StudySummary.Status.ABSTAINED, _("Withheld")),
    (StudySummary.Status.ANALYSING, _("Analysing")),
    (StudySummary.Status.WAITING, _("Waiting for a model")),
    (StudySummary.Status.FAILED, _("Failed")),
]
# Of the finding shown in the row.
PROBABILITIES = {
    "half": ((0.5, None), _("Probability ≥ 0.50")),
    "most": ((0.8, None), _("Probability ≥ 0.80")),
    "near": ((0.4, 0.6), _("Probability 0.40 to 0.60")),
    "less": ((None, 0.5), _("Probability < 0.50")),
}
RECEIVED = {
    "today": (0, _("Received today")),
    "two": (1, _("Since yesterday")),
    "week": (6, _("Last 7 days")),
    "month": (29, _("Last 30 days")),
}
READERS = {"anybody": _("Read"), "me": _("Read by me")}
ASSIGNED = {"me": _("Assigned to me"), "nobody": _("Not assigned")}
SORTS = {
    "waiting": _("Urgent, then longest waiting"),
    "newest": _("Newest first"),
    "oldest": _("Oldest first"),
    "worst": _("Worst first"),
    "unsure": _("Highest uncertainty first"),
    "study": _("Study date, newest first"),
    "study_oldest": _("Study date, oldest first"),
}
HIDDEN_IN_VIEWS = ("q",)


@dataclass(frozen=True)
class Search:
    """As entered. `q` is part of a patient's name or identifier, or of an accession number."""

    q: str = ""
    status: str = ""
    finding: str = ""
    probability: str = ""
    uncertainty: str = ""
    modality: str = ""
    received: str = ""
    studied_from: str = ""
    studied_to: str = ""
    unread: str = ""
    urgent: str = ""
    reader: str = ""
    assigned: str = ""
    tag: str = ""
    marked: str = ""
    sites: str = ""
    sort: str = "newest"

    @classmethod
    def from_session(cls, request: HttpRequest) -> Self:
        return cls.from_values(request.session.get(_SESSION_KEY, {}))

    @classmethod
    def from_values(cls, given: Any) -> Self:
        """The search of a form or a saved view; unknown values, such as removed options, are dropped."""
        values = {name: str(given.get(name, "")).strip()[:64] for name in cls.names()}
        options = {
            "status": StudySummary.Status.values,
            "probability": PROBABILITIES,
            "uncertainty": UNCERTAINTIES,
            "received": RECEIVED,
            "sites": ("all",),
            "marked": ("me",),
            "unread": ("1",),
            "urgent": ("1",),
        }
        for name, choices in options.items():
            if values[name] not in choices:
                values[name] = ""
        for name in ("studied_from", "studied_to"):
            values[name] = values[name] if _day(values[name]) else ""
        if values["reader"] == "nobody":  # as earlier saved views have it
            values["unread"] = "1"
        for name, choices in (("reader", READERS), ("assigned", ASSIGNED)):
            if values[name] not in choices and not uuid_or_none(values[name]):
                values[name] = ""
        if values["sort"] not in ORDERS:
            values["sort"] = "newest"
        return cls(**values)

    @classmethod
    def from_post(cls, request: HttpRequest) -> Self:
        """The posted search, saved in the session; clearing it keeps the sort order."""
        search = cls.from_values(request.POST)
        if "clear" in request.POST:
            search = cls(sort=search.sort)
        return search.save(request)

    def save(self, request: HttpRequest) -> Self:
        request.session[_SESSION_KEY] = asdict(self)
        return self

    @classmethod
    def names(cls) -> list[str]:
        return [field.name for field in fields(cls)]

    def __bool__(self) -> bool:
        return replace(self, sort="newest") != type(self)()

    @property
    def more_filters(self) -> bool:
        """Whether a filter of the second line is set."""
        first_line = ("q", "status", "finding", "probability", "received", "unread", "urgent")
        first = replace(self, sort="newest", **dict.fromkeys(first_line, ""))
        return bool(first)

    def as_view(self) -> dict[str, str]:
        """The values of a saved view: without the search text, which may be a name."""
        return {name: value for name, value in asdict(self).items() if name not in HIDDEN_IN_VIEWS and value}

    def studies(self, user: User, site: Site) -> QuerySet[StudySummary]:
        """The studies that match, in the chosen order: the site's, or those of all the reader's sites."""
        return self.among(visible(user, None if self.sites else site), user)

    def among(self, rows: QuerySet[StudySummary], user: User) -> QuerySet[StudySummary]:
        """Those of the rows that match, in the chosen order."""
        asked = self
        if HiddenResults(user).sites:  # being found by a finding would disclose it
            sort = "newest" if self.sort in ("worst", "unsure") else self.sort
            status = "" if self.status in ("done", "abstained") else self.status
            asked = replace(self, finding="", probability="", uncertainty="", status=status, sort=sort)
        return narrowed(rows, asked.filters(user), asked.sort)

    def filters(self, user: User) -> Filters:
        before = _day(self.studied_to)
        return Filters(
            search=self.q,
            status=self.status,
            finding=self.finding,
            modality=self.modality,
            probability=PROBABILITIES[self.probability][0] if self.probability else ANY,
            uncertainty=UNCERTAINTIES[self.uncertainty] if self.uncertainty else ANY,
            reader="nobody" if self.unread else user.pk if self.reader == "me" else self.reader,
            urgent=bool(self.urgent),
            assigned=user.pk if self.assigned == "me" else self.assigned,
            tag=self.tag,
            arrived=_start_of_day(RECEIVED[self.received][0]) if self.received else None,
            studied=(_at(_day(self.studied_from)), _at(before + timedelta(days=1) if before else None)),
            marked_by=user if self.marked else None,
        )


def _start_of_day(days_ago: int) -> datetime:
    return _at(timezone.localdate() - timedelta(days=days_ago))


def _at(day: date | None) -> datetime | None:
    """The day's beginning in the reader's zone."""
    return timezone.make_aware(datetime.combine(day, time.min)) if day else None


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 1900 <= day.year <= 2200 else None
