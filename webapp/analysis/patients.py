"""Merging patients and parting them again; the worklist's summaries are renewed in the same transaction."""

from __future__ import annotations

from django.db import transaction

from webapp.accounts.models import User
from webapp.analysis import summaries
from webapp.scans import patients
from webapp.scans.models import Patient, PatientMerge


@transaction.atomic
def patient_merge(*, source: Patient, target: Patient, actor: User, reason: str) -> PatientMerge:
    """Make the source another name of the target; raises what `scans.patients.patient_merge` raises."""
    done = patients.patient_merge(source=source, target=target, actor=actor, reason=reason)
    summaries.refresh_studies(done.studies)
    return done.merge


@transaction.atomic
def patient_part(*, merge: PatientMerge, actor: User, reason: str) -> PatientMerge:
    """Undo one merge; raises what `scans.patients.patient_part` raises."""
    done = patients.patient_part(merge=merge, actor=actor, reason=reason)
    summaries.refresh_studies(done.studies)
    return done.merge
