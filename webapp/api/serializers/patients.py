"""Patients, studies and histories as the API tells them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from webapp.analysis.models import StudyStatus, StudySummary
from webapp.analysis.selectors import HistoryEntry
from webapp.api.fields import Key, Text, Whole
from webapp.api.pagination import CURSOR_SCHEMA, DEFAULT_LIMIT, MOST
from webapp.api.serializers.scans import ScanRowSerializer, scan_row
from webapp.scans.models import Patient, PatientMerge, ScanMove, Study
from webapp.scans.patients.records import Extent, Said


class PatientSerializer(serializers.Serializer):
    """`provisional`: nobody said whose image it is. `merged_into`: who the patient is by now."""

    id = serializers.UUIDField()
    patient_id = serializers.CharField()
    issuer = serializers.CharField()
    name = serializers.CharField()
    sex = serializers.CharField()
    birth_date = serializers.DateField(allow_null=True)
    provisional = serializers.BooleanField()
    merged_into = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()


def patient_answer(patient: Patient, end: UUID) -> dict[str, Any]:
    """`end` is whom the patient was merged into, else their own key."""
    return {
        "id": patient.pk,
        "patient_id": patient.patient_id,
        "issuer": patient.issuer,
        "name": patient.name,
        "sex": patient.sex,
        "birth_date": patient.birth_date,
        "provisional": patient.provisional,
        "merged_into": end if end != patient.pk else None,
        "created_at": patient.created_at,
    }


class MergeSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    source = serializers.UUIDField(help_text="the record that became another name")
    target = serializers.UUIDField(help_text="the record whose name and identifier stayed")
    by = serializers.CharField()
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()
    parted_at = serializers.DateTimeField(allow_null=True)
    parted_by = serializers.CharField(allow_null=True)
    parted_reason = serializers.CharField(allow_null=True)


def merge_answer(merge: PatientMerge) -> dict[str, Any]:
    return {
        "id": merge.pk,
        "source": merge.source_id,
        "target": merge.target_id,
        "by": merge.actor.get_username(),
        "reason": merge.reason,
        "created_at": merge.created_at,
        "parted_at": merge.parted_at,
        "parted_by": merge.parted_by.get_username() if merge.parted_by else None,
        "parted_reason": merge.parted_reason or None,
    }


class MovedScanSerializer(serializers.Serializer):
    scan = serializers.UUIDField()
    source = serializers.UUIDField()
    target = serializers.UUIDField()
    by = serializers.CharField()
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()


def move_answer(move: ScanMove) -> dict[str, Any]:
    return {
        "scan": move.scan_id,
        "source": move.source_id,
        "target": move.target_id,
        "by": move.actor.get_username(),
        "reason": move.reason,
        "created_at": move.created_at,
    }


class SaidSerializer(serializers.Serializer):
    """One of several values of a field, with the records that hold it and the scans whose files say it."""

    value = serializers.CharField()
    records = serializers.ListField(child=serializers.UUIDField())
    scans = serializers.ListField(child=serializers.UUIDField())


def said_answer(said: Said) -> dict[str, Any]:
    return {
        "value": str(said.value),
        "records": [record.pk for record in said.records],
        "scans": [scan.pk for scan in said.scans],
    }


class PatientDetailSerializer(PatientSerializer):
    studies = serializers.IntegerField()
    scans = serializers.IntegerField()
    first_study = serializers.DateField(allow_null=True)
    last_study = serializers.DateField(allow_null=True)
    merges = MergeSerializer(many=True)
    moves = MovedScanSerializer(many=True)
    may_be_same = serializers.ListField(
        child=serializers.UUIDField(),
        help_text="others of the site who look like the same person, by Hilum's own id; never a proof",
    )


def extent_answer(extent: Extent) -> dict[str, Any]:
    return {
        "studies": extent.studies,
        "scans": extent.scans,
        "first_study": extent.first,
        "last_study": extent.last,
    }


class StudyFactsSerializer(serializers.Serializer):
    """`study_date` and `study_time` are the local ones of the file or the claim."""

    id = serializers.UUIDField()
    patient = serializers.UUIDField()
    study_instance_uid = serializers.CharField()
    accession_number = serializers.CharField()
    study_date = serializers.DateField(allow_null=True)
    study_time = serializers.TimeField(allow_null=True)
    description = serializers.CharField()


def study_facts(study: Study) -> dict[str, Any]:
    return {
        "id": study.pk,
        "patient": study.patient_id,
        "study_instance_uid": study.study_instance_uid,
        "accession_number": study.accession_number,
        "study_date": study.study_date,
        "study_time": study.study_time,
        "description": study.description,
    }


class StudySerializer(StudyFactsSerializer):
    """A row of the worklist: a study with the worst of its scans."""

    patient_id = serializers.CharField()
    patient_name = serializers.CharField()
    status = serializers.ChoiceField(choices=StudyStatus.choices)
    reason = serializers.CharField(allow_null=True)
    finding = serializers.CharField(allow_null=True)
    probability = serializers.FloatField(
        allow_null=True, help_text="of the finding, else of the likeliest abnormal one"
    )
    uncertainty = serializers.FloatField(allow_null=True)
    scans = serializers.IntegerField()
    worst_scan = serializers.UUIDField(allow_null=True)
    synthetic = serializers.BooleanField()
    latest_at = serializers.DateTimeField()


def study_answer(summary: StudySummary) -> dict[str, Any]:
    patient = summary.study.patient
    return study_facts(summary.study) | {
        "patient_id": patient.patient_id,
        "patient_name": patient.name,
        "status": summary.status,
        "reason": summary.reason or None,
        "finding": summary.finding or None,
        "probability": summary.probability,
        "uncertainty": summary.uncertainty,
        "scans": summary.scans,
        "worst_scan": summary.worst_scan_id,
        "synthetic": summary.synthetic,
        "latest_at": summary.latest_at,
    }


class StudyDetailSerializer(StudySerializer):
    images = ScanRowSerializer(many=True)


class HistoryEntrySerializer(serializers.Serializer):
    study = StudyFactsSerializer()
    scan = ScanRowSerializer()


class HistorySerializer(serializers.Serializer):
    """Every scan of the patient in order of time, and what their records and files disagree on."""

    patient = serializers.UUIDField()
    entries = HistoryEntrySerializer(many=True)
    disagreements = serializers.DictField(child=SaidSerializer(many=True))


def history_answer(entries: Sequence[HistoryEntry]) -> list[dict[str, Any]]:
    return [{"study": study_facts(entry.study), "scan": scan_row(entry.scan)} for entry in entries]


@extend_schema_field(CURSOR_SCHEMA)
class CursorText(Text):
    """Read by `pagination`, which refuses it with a code of its own."""


class SearchSerializer(serializers.Serializer):
    """A search: in the body, so that no name or identifier stands in an address or a log."""

    q = Text(max_length=64, help_text="words that begin the identifier or stand in the name")
    limit = Whole(required=False, default=DEFAULT_LIMIT, min_value=1, max_value=MOST)
    cursor = CursorText(required=False, allow_null=True, default=None, help_text="an earlier answer's `next`")


class StudySearchSerializer(SearchSerializer):
    q = Text(max_length=64, help_text="words of the patient's name or identifier, or an accession number")
    status = serializers.ChoiceField(required=False, choices=StudyStatus.choices)
    finding = Text(required=False, max_length=64)


class PatientsFoundSerializer(serializers.Serializer):
    next = serializers.CharField(allow_null=True, help_text="the cursor of the next page")
    results = PatientSerializer(many=True)


class StudiesFoundSerializer(serializers.Serializer):
    next = serializers.CharField(allow_null=True, help_text="the cursor of the next page")
    results = StudySerializer(many=True)


class LookupSerializer(serializers.Serializer):
    identifiers = serializers.ListField(child=Text(max_length=64), min_length=1, max_length=500)


class MeantSerializer(serializers.Serializer):
    """Whom each identifier would be filed to; one that would make a new patient is left out."""

    results = serializers.DictField(child=PatientSerializer())


class MergeRequestSerializer(serializers.Serializer):
    """`source` becomes another name of the patient of the address."""

    source = Key()
    reason = Text(max_length=500)


class RescoredSerializer(serializers.Serializer):
    waiting = serializers.IntegerField(min_value=0, help_text="scans that wait for an active model now")


class ReasonSerializer(serializers.Serializer):
    reason = Text(max_length=500)
