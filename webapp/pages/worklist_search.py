"""What a reader looks for in the worklist: kept in the session, so that no name gets into an address."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from webapp.accounts.models import Site, User
from webapp.analysis.models import StudySummary
from webapp.analysis.selectors import worklist

_SESSION_KEY = "worklist"
STATUSES = [
    (StudySummary.Status.DONE, "Answered"),
    (StudySummary.Status.ABSTAINED, "No answer"),
    (StudySummary.Status.ANALYSING, "Analysing"),
    (StudySummary.Status.WAITING, "Waiting for a model"),
    (StudySummary.Status.FAILED, "Failed"),
]


@dataclass(frozen=True)
class Search:
    """`q` is part of a patient's name or identifier or of an accession number."""

    q: str = ""
    status: str = ""
    finding: str = ""

    @classmethod
    def of(cls, request: HttpRequest) -> Self:
        return cls(**request.session.get(_SESSION_KEY, {}))

    @classmethod
    def take(cls, request: HttpRequest) -> Self:
        """Read the posted search and remember it."""
        posted = {} if "clear" in request.POST else request.POST
        search = cls(**{name: posted.get(name, "").strip()[:64] for name in ("q", "status", "finding")})
        request.session[_SESSION_KEY] = asdict(search)
        return search

    def __bool__(self) -> bool:
        return bool(self.q or self.status or self.finding)

    def studies(self, user: User, site: Site) -> QuerySet[StudySummary]:
        """The site's studies that match, newest first."""
        return worklist(user=user, site=site, status=self.status, finding=self.finding, search=self.q)


def neighbours(
    studies: QuerySet[StudySummary], here: StudySummary
) -> tuple[StudySummary | None, StudySummary | None]:
    """The studies just above and below one in the list (newer, older), two indexed look-ups."""
    newer = Q(latest_at__gt=here.latest_at) | Q(latest_at=here.latest_at, study_id__gt=here.study_id)
    older = Q(latest_at__lt=here.latest_at) | Q(latest_at=here.latest_at, study_id__lt=here.study_id)
    return studies.filter(newer).reverse().first(), studies.filter(older).first()
