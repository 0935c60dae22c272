"""Read first: a reader sees a study's result only after they have stated a first impression of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from uuid import UUID

from django.db import transaction

from webapp.accounts.models import Membership, User
from webapp.accounts.permissions import Permission
from webapp.accounts.preferences import preferences_of
from webapp.accounts.services import demand
from webapp.core.errors import CodedError
from webapp.labels.drafts import draft_save
from webapp.labels.models import FirstImpression, Reading
from webapp.labels.readings import check_findings, plain_text
from webapp.labels.selectors import analyses_of, offered
from webapp.scans.models import Study


class HiddenResults:
    """Which studies' results one reader may not see yet; asks the database only where they read first."""

    def __init__(self, reader: User) -> None:
        self.reader = reader
        self._prepared: set[UUID] = set()
        self._committed: dict[UUID, bool] = {}

    def prepare(self, studies: Iterable[UUID]) -> None:
        """Look these up together when the first of them is asked for; any other is looked up singly."""
        self._prepared |= set(studies) - self._committed.keys()

    @cached_property
    def sites(self) -> set[UUID]:
        """Where the person signs readings and, by the site's rule or their own choice, reads first."""
        held = Membership.objects.filter(user=self.reader).select_related("site", "role")
        chosen = preferences_of(self.reader)["read_first"]
        return {
            one.site_id
            for one in held
            if (chosen or one.site.read_first) and Permission.SCAN_LABEL in one.role.permissions
        }

    def of(self, study_id: UUID, site_id: UUID) -> bool:
        return site_id in self.sites and not self._has_committed(study_id)

    def _has_committed(self, study_id: UUID) -> bool:
        if study_id not in self._committed:
            asked = {study_id, *self._prepared}
            impressions = FirstImpression.objects.filter(reader=self.reader, study__in=asked)
            read = Reading.objects.filter(reader=self.reader, scans__series__study__in=asked)
            done = {
                *impressions.values_list("study", flat=True),
                *read.values_list("scans__series__study", flat=True).distinct(),
            }
            self._committed |= {key: key in done for key in asked}
            self._prepared = set()
        return self._committed[study_id]

    def demand_shown(self, study: Study) -> None:
        """Raise CodedError `read_first` where the result is hidden."""
        if self.of(study.pk, study.site_id):
            raise CodedError("read_first")


@transaction.atomic
def impression_commit(
    *, study: Study, actor: User, findings: Sequence[str], comment: str = "", comparison: str = ""
) -> FirstImpression:
    """Record the actor's first impression, once; the form's contents become their draft of the reading.

    Raises CodedError `forbidden`, and those of `check_findings` and `plain_text`.
    """
    demand(actor, Permission.SCAN_LABEL, study.site)
    comment, comparison = plain_text(comment), plain_text(comparison)
    check_findings(findings, comment, offered(analyses_of(study)))
    impression, _ = FirstImpression.objects.get_or_create(
        study=study, reader=actor, defaults={"site": study.site, "findings": sorted(set(findings))}
    )
    draft_save(study=study, actor=actor, findings=findings, comment=comment, comparison=comparison)
    return impression
