"""Merging patients and parting them again; the worklist's summaries are renewed in the same transaction."""

from __future__ import annotations

from django.db import transaction

from webapp.accounts.models import User
from webapp.analysis.worklist import summaries
from webapp.scans.models import Patient, PatientMerge
from webapp.scans.patients import corrections as patients
from webapp.scans.patients.identity import end_of
from webapp.webhooks.kinds import Kind
from webapp.webhooks.services import announce


@transaction.atomic
def patient_merge(*, source: Patient, target: Patient, actor: User, reason: str) -> PatientMerge:
    """Make the source another name of the target; raises what `scans.patients.patient_merge` raises."""
    done = patients.patient_merge(source=source, target=target, actor=actor, reason=reason)
    summaries.refresh_studies(done.studies)
    summaries.refresh_names(end.pk for end in map(end_of, (done.merge.source, done.merge.target)))
    _tell(done.merge, Kind.PATIENT_MERGED)
    return done.merge


@transaction.atomic
def patient_part(*, merge: PatientMerge, actor: User, reason: str) -> PatientMerge:
    """Undo one merge; raises what `scans.patients.patient_part` raises."""
    done = patients.patient_part(merge=merge, actor=actor, reason=reason)
    summaries.refresh_studies(done.studies)
    summaries.refresh_names(end.pk for end in map(end_of, (done.merge.source, done.merge.target)))
    _tell(done.merge, Kind.PATIENT_PARTED)
    return done.merge


def _tell(merge: PatientMerge, kind: Kind) -> None:
    announce(
        site_id=merge.source.site_id,
        kind=kind,
        subject=merge.source_id,
        data={"merge": str(merge.pk), "target": str(merge.target_id)},
    )
