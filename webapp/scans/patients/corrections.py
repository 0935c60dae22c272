"""Corrections of whose image it is: move a scan, merge two patients, undo a merge; each is recorded.

A merge keeps the source's row as an alias of the target (`patients.identity` follows it). Whole studies move;
of a study that both have, the scans join the target's, and the source's empty row is kept for undoing the
merge. Patients are locked before scans, scans before studies, each in order.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import suppress

from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone

from webapp.accounts.models import Site, User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import demand
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.scans.dicom_values import text
from webapp.scans.filing import series_for, study_for
from webapp.scans.models import MergedScan, Patient, PatientMerge, Scan, ScanMove, Series, Study
from webapp.scans.patients.identity import demographics, end_of, lock_patients, merges_from, patient_named
from webapp.scans.signals import filing_changed
from webapp.webhooks.kinds import EventKind
from webapp.webhooks.services import announce

STUDY_COLUMNS = (
    "site_id",
    "accession_number",
    "study_date",
    "study_time",
    "date_is_relative",
    "study_at",
    "description",
)


@transaction.atomic
def scan_move(*, scan: Scan, patient: Patient, actor: User, reason: str) -> Scan:
    """Move a scan to another patient of its site; a merged patient stands for the one they were merged into.

    The study is found or created under the new patient; what is left empty is removed. Raises CodedError
    `forbidden`, `not_found` for a patient of another site, `metadata_invalid` without a reason.
    """
    reason = _permitted(actor, Permission.SCAN_MOVE, scan.site, patient, reason, "the scan is moved")
    patient = _lock(patient, scan.patient)
    scan = _locked_scan(scan)
    old_patient = scan.patient
    if old_patient.pk == patient.pk:
        return scan
    studies = _refile_alone(scan, patient)
    MergedScan.objects.filter(scan=scan, merge__unmerged_at=None).update(left=True)
    ScanMove.objects.create(scan=scan, source=old_patient, target=patient, actor=actor, reason=reason)
    _conclude_move(scan, actor, "scan.moved", studies, old_patient, patient)
    return scan


@transaction.atomic
def patient_merge(*, source: Patient, target: Patient, actor: User, reason: str) -> PatientMerge:
    """Make `source` an alias of `target` (or of its own target) and move all its studies there.

    The target's data stay as they are. Repeating it does nothing. Raises CodedError `forbidden`, `not_found`
    for a patient of another site, `metadata_invalid` without a reason or for two that cannot be merged,
    `conflict` when the source is merged into another patient or is the end of the target's merges.
    """
    reason = _permitted(actor, Permission.PATIENT_MERGE, source.site, target, reason, "they are one person")
    if source.pk == target.pk or target.provisional:
        raise CodedError("metadata_invalid", *_UNFIT, 400)
    target = _lock(target, source)
    if earlier := merges_from(source):
        if earlier[-1].target_id != target.pk:
            raise CodedError("conflict", *_MERGED_ELSEWHERE)
        return earlier[0]
    if target.pk == source.pk:
        raise CodedError("conflict", *_ONE_ALREADY)
    merge = PatientMerge.objects.create(source=source, target=target, actor=actor, reason=reason)
    scans = _locked_scans(Scan.objects.filter(series__study__patient=source))
    MergedScan.objects.bulk_create(MergedScan(merge=merge, scan_id=scan) for scan in scans)
    studies = _move_studies(source, target)
    _conclude(merge, actor, EventKind.PATIENT_MERGED, scans, studies)
    return merge


@transaction.atomic
def patient_unmerge(*, merge: PatientMerge, actor: User, reason: str) -> PatientMerge:
    """Undo one merge: the source is a separate patient again, with what the merge moved.

    What has arrived since under the source's identifier goes too; what was moved by hand since stays.
    Repeating it does nothing. Raises CodedError `forbidden`, `metadata_invalid` without a reason.
    """
    source = merge.source
    reason = _permitted(actor, Permission.PATIENT_MERGE, source.site, source, reason, "they are two persons")
    end = _lock(merge.target, source)
    merge = PatientMerge.objects.select_for_update(of=("self",)).select_related("source").get(pk=merge.pk)
    if merge.unmerged_at:
        return merge
    beyond = merges_from(source)[1:]
    merge.unmerged_at, merge.unmerged_by, merge.unmerged_reason = timezone.now(), actor, reason
    merge.save(update_fields=["unmerged_at", "unmerged_by", "unmerged_reason"])
    here = {"series__study__patient": end, "merged__left": False}
    scans = _locked_scans(Scan.objects.filter(merged__merge=merge, **here))
    later = set(merge.merged.filter(later=True).values_list("scan_id", flat=True))
    studies = _return_studies(scans, later, merge.source)
    MergedScan.objects.filter(merge__in=beyond, scan__in=scans).update(left=True)
    _conclude(merge, actor, EventKind.PATIENT_UNMERGED, scans, studies)
    return merge


@transaction.atomic
def provisional_replace(*, scan: Scan, actor: User) -> None:
    """Move a scan from its provisional patient to the patient that its upload now states.

    Needs no reason and no permission to move: no patient had been stated before.
    """
    placeholder = scan.patient
    named = patient_named(
        site=scan.site, patient_id=scan.upload.stated_patient_id, **demographics(scan.metadata)
    )
    patient = _lock(named, placeholder)
    scan = _locked_scan(scan)
    if scan.patient.pk != placeholder.pk:
        return
    studies = _refile_alone(scan, patient)
    MergedScan.objects.bulk_create(
        MergedScan(merge=merge, scan=scan, later=True) for merge in merges_from(named)
    )
    with suppress(ProtectedError):
        Patient.objects.filter(pk=placeholder.pk, provisional=True, studies=None).delete()
    _conclude_move(scan, actor, "scan.patient_stated", studies, placeholder, patient)


_UNFIT = (
    "These two records cannot be merged.",
    "Choose two patients and keep the one that has an identifier.",
)
_MERGED_ELSEWHERE = (
    "This patient is already merged into another one.",
    "Merge that one instead, or undo the earlier merge first.",
)
_ONE_ALREADY = ("These two are already one patient.", "See the patient's page.")


def _permitted(
    actor: User, permission: Permission, site: Site, other: Patient, reason: str, what: str
) -> str:
    """The reason, trimmed, if the actor may do this at the site, where the other patient is too."""
    demand(actor, permission, site)
    if other.site_id != site.pk:
        raise CodedError("not_found")
    reason = text(reason, 500)
    if not reason:
        raise CodedError(
            "metadata_invalid", "A reason is required.", f"Enter a short reason why {what}.", 400
        )
    return reason


def _lock(patient: Patient, other: Patient) -> Patient:
    """Lock who the patient is now, and the other one as they are; returns the first."""
    while True:
        end = end_of(patient)
        lock_patients([end.pk, other.pk])
        if end_of(patient).pk == end.pk:
            return end


def _locked_scan(scan: Scan) -> Scan:
    Scan.objects.select_for_update(no_key=True).get(pk=scan.pk)
    return Scan.objects.select_related("series__study__patient", "upload").get(pk=scan.pk)


def _locked_scans(scans) -> list[uuid.UUID]:
    """The keys of these scans, locked in order; without a join, for which a lock would wait on other rows."""
    keys = list(scans.values_list("pk", flat=True))
    locked = Scan.objects.filter(pk__in=keys).select_for_update(no_key=True).order_by("pk")
    return list(locked.values_list("pk", flat=True))


def _move_studies(source: Patient, target: Patient) -> set[uuid.UUID]:
    """File every study of the source to the target; returns the studies whose scans changed."""
    theirs = {study.study_instance_uid: study for study in target.studies.all()}
    touched: set[uuid.UUID] = set()
    for study in source.studies.order_by("pk"):
        same = theirs.get(study.study_instance_uid)
        if same is None:
            study.patient = target
            study.save(update_fields=["patient"])
            continue
        for series in study.series.all():
            Scan.objects.filter(series=series).update(series=_same_series(series, same))
        touched |= {study.pk, same.pk}
    return touched


def _return_studies(scans: list[uuid.UUID], later: set[uuid.UUID], source: Patient) -> set[uuid.UUID]:
    """File these scans to the source again; returns the studies whose scans changed."""
    going, touched = set(scans), set()
    for study in Study.objects.filter(series__scans__in=scans).distinct().order_by("pk"):
        held = set(Scan.objects.filter(series__study=study).values_list("pk", flat=True))
        early, since = (held & going) - later, held & later
        home = source.studies.filter(study_instance_uid=study.study_instance_uid).first()
        if home is None and early and held <= going:
            study.patient = source
            study.save(update_fields=["patient"])
        elif early:
            home = home or _copy_of(study, source)
            for series in study.series.all():
                Scan.objects.filter(series=series, pk__in=early).update(series=_same_series(series, home))
            touched |= {study.pk, home.pk}
        for scan in Scan.objects.select_related("series__study", "upload").filter(pk__in=since):
            touched |= {study.pk, _refile(scan, source).pk}
    _remove_empty(touched)
    _remove_empty(source.studies.values_list("pk", flat=True))
    return touched


def _refile(scan: Scan, patient: Patient) -> Study:
    """File the scan to the patient as if it had just arrived."""
    study = study_for(patient=patient, metadata=scan.metadata, upload=scan.upload, scan_id=scan.pk)
    series = series_for(study=study, metadata=scan.metadata)
    if series.pk != scan.series_id:
        scan.series = series
        scan.save(update_fields=["series"])
    return study


def _refile_alone(scan: Scan, patient: Patient) -> set[uuid.UUID]:
    """`_refile`, and remove what is left empty; returns the studies that changed."""
    old = scan.study.pk
    studies = {old, _refile(scan, patient).pk}
    _remove_empty([old])
    return studies


def _same_series(series: Series, study: Study) -> Series:
    found = {"study": study, "series_instance_uid": series.series_instance_uid}
    return Series.objects.get_or_create(**found, defaults={"modality": series.modality})[0]


def _copy_of(study: Study, patient: Patient) -> Study:
    return Study.objects.create(
        patient=patient,
        study_instance_uid=study.study_instance_uid,
        **{column: getattr(study, column) for column in STUDY_COLUMNS},
    )


def _remove_empty(studies: Iterable[uuid.UUID]) -> None:
    """Delete series and studies without scans; a study with a signed reading is kept."""
    keys = list(studies)
    Series.objects.filter(study__in=keys, scans=None).delete()
    Study.objects.filter(pk__in=keys, series=None, readings=None).delete()


def _conclude_move(
    scan: Scan, actor: User, action: str, studies: set[uuid.UUID], source: Patient, target: Patient
) -> None:
    """Record and announce a move, and renew the worklist."""
    detail = {"source": str(source.pk), "target": str(target.pk)}
    record(actor=actor, site=scan.site, action=action, subject=scan, detail=detail)
    filing_changed.send(Scan, studies=studies, patients=[])
    announce(
        site_id=scan.site_id, kind=EventKind.SCAN_MOVED, subject=scan.pk, data={"patient": str(target.pk)}
    )


def _conclude(
    merge: PatientMerge, actor: User, kind: EventKind, scans: list[uuid.UUID], studies: set[uuid.UUID]
) -> None:
    """Record and announce a merge or its undoing, and renew the worklist."""
    detail = {"merge": str(merge.pk), "target": str(merge.target_id)}
    site, source = merge.source.site, merge.source
    record(actor=actor, site=site, action=kind.value, subject=source, detail=detail | {"scans": len(scans)})
    patients = [end_of(patient).pk for patient in (source, merge.target)]
    filing_changed.send(Scan, studies=studies, patients=patients)
    announce(site_id=site.pk, kind=kind, subject=source.pk, data=detail)
