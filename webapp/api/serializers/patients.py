"""Patients, their merges and history, and studies."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field

from webapp.analysis.models import StudyStatus
from webapp.api import fields as f
from webapp.api.serializers.base import RequestSerializer
from webapp.api.serializers.scans import ScanRowSerializer
from webapp.scans.models import Patient

PATIENT = "Hilum's UUID of the patient"


class PatientSerializer(f.Serializer):
    """`context["ends"]`: by patient, the one they are merged into, directly or not, else themselves."""

    id = f.IdField()
    patient_id = f.CharField(help_text="PatientID (0010,0020), or a pseudonym at a site that keeps none")
    issuer = f.CharField(help_text="IssuerOfPatientID (0010,0021); may be empty")
    name = f.CharField(help_text="PatientName (0010,0010), as in `DOE^JANE`; may be empty")
    sex = f.CharField(help_text="PatientSex (0010,0040): `F`, `M` or `O`; may be empty")
    birth_date = f.DateField(allow_null=True, help_text="PatientBirthDate (0010,0030); null if unknown")
    provisional = f.BooleanField(help_text="no patient ID was given: the record stands for one upload")
    merged_into = f.SerializerMethodField(help_text=f"{PATIENT} this one was merged into; null if not merged")
    created_at = f.CreatedAtField()

    @extend_schema_field(f.UUIDField(allow_null=True))
    def get_merged_into(self, patient: Patient) -> str | None:
        end = self.context["ends"][patient.pk]
        return str(end) if end != patient.pk else None


class MergeSerializer(f.Serializer):
    id = f.IdField()
    source_uuid = f.UUIDField(source="source_id", help_text=f"{PATIENT} that was merged into the target")
    target_uuid = f.UUIDField(source="target_id", help_text=f"{PATIENT} that remained")
    by = f.CharField(source="actor.username", help_text="user name")
    reason = f.CharField(help_text="why")
    created_at = f.CreatedAtField()
    unmerged_at = f.DateTimeField(allow_null=True, help_text="when it was undone; null if it was not")
    unmerged_by = f.CharField(
        source="unmerged_by.username", allow_null=True, help_text="user name; null if not"
    )
    unmerged_reason = f.TextOrNullField(help_text="why it was undone; null if it was not")


class MoveSerializer(f.Serializer):
    scan = f.UUIDField(source="scan_id", help_text="ID of the scan")
    source_uuid = f.UUIDField(source="source_id", help_text=f"{PATIENT} it was moved from")
    target_uuid = f.UUIDField(source="target_id", help_text=f"{PATIENT} it was moved to")
    by = f.CharField(source="actor.username", help_text="user name")
    reason = f.CharField(help_text="why")
    created_at = f.CreatedAtField()


class PatientDetailSerializer(PatientSerializer):
    studies = f.IntegerField(source="extent.studies", help_text="number of studies")
    scans = f.IntegerField(source="extent.scans", help_text="number of scans")
    first_study = f.DateField(
        source="extent.first", allow_null=True, help_text="earliest study; null if none"
    )
    last_study = f.DateField(source="extent.last", allow_null=True, help_text="latest study; null if none")
    merges = MergeSerializer(source="latest_merges", many=True, help_text="latest 20 merges, undone ones too")
    moves = MoveSerializer(
        source="latest_moves", many=True, help_text="latest 20 scans moved to or from them"
    )
    possible_duplicates = f.ListField(
        child=f.RecordKeyField(), help_text="UUIDs of patients who may be the same; no proof"
    )


class StudyFactsSerializer(f.Serializer):
    id = f.IdField()
    patient_uuid = f.UUIDField(source="patient_id", help_text=PATIENT)
    study_instance_uid = f.CharField(help_text="StudyInstanceUID (0020,000D); generated where none was given")
    accession_number = f.CharField(help_text="AccessionNumber (0008,0050); may be empty")
    study_date = f.DateField(allow_null=True, help_text="StudyDate (0008,0020), else as stated; null if none")
    date_is_relative = f.BooleanField(
        help_text="whether the day is made up from day offsets: only order and distance of dates are real"
    )
    study_time = f.TimeField(allow_null=True, help_text="StudyTime (0008,0030), local; null if unknown")
    description = f.CharField(help_text="StudyDescription (0008,1030); may be empty")


class StudySerializer(StudyFactsSerializer):
    """A row of the worklist: a study with the result of its worst scan."""

    patient_id = f.CharField(source="study.patient.patient_id", help_text="PatientID (0010,0020)")
    patient_name = f.CharField(source="study.patient.name", help_text="PatientName (0010,0010); may be empty")
    status = f.ChoiceField(StudyStatus.choices, help_text="status of the least finished scan")
    reason = f.TextOrNullField(
        help_text="code of an error or abstention, or `no_model_for_modality`; or null"
    )
    finding = f.TextOrNullField(help_text="finding of the worst scan; null if none is above its threshold")
    probability = f.FloatField(
        allow_null=True, help_text="of that finding, else of the likeliest abnormal one"
    )
    uncertainty = f.FloatField(allow_null=True, help_text="of that result, 0 to 1; null without a result")
    scans = f.IntegerField(help_text="number of scans")
    worst_scan = f.UUIDOrNullField("worst_scan_id", "ID of the scan to review first; null if removed")
    urgent = f.TextOrNullField(
        help_text="`hand`, `dicom` or `rule`: why the study is urgent; null if it is not"
    )
    assigned_to = f.UUIDOrNullField("assigned_id", "ID of the reader it is assigned to, or null")
    synthetic = f.BooleanField(help_text="whether any scan is simulated: Synthetic Data (0008,001C)")
    latest_at = f.DateTimeField(help_text="when the latest scan was uploaded")

    def get_fields(self) -> dict[str, Any]:
        declared = super().get_fields()
        for name in StudyFactsSerializer().fields:
            declared[name].source = f"study.{declared[name].source or name}"
        return declared


class StudyDetailSerializer(StudySerializer):
    images = ScanRowSerializer(many=True, help_text="the scans, in order of upload")


class HistoryEntrySerializer(f.Serializer):
    study = StudyFactsSerializer(help_text="the study")
    scan = ScanRowSerializer(help_text="the scan with its current result")


class DifferingValueSerializer(f.Serializer):
    """One of several values of a field."""

    value = f.CharField(help_text="the value")
    records = f.ListField(child=f.RecordKeyField(), help_text="UUIDs of the patient records that hold it")
    scans = f.ListField(child=f.RecordKeyField(), help_text="IDs of the scans whose files state it")


class PatientHistorySerializer(f.Serializer):
    """Every scan of a patient in order of time, and where records and files disagree."""

    patient_uuid = f.UUIDField(help_text=f"{PATIENT}; of a merged one, the patient they were merged into")
    entries = HistoryEntrySerializer(many=True, help_text="earliest study first")
    disagreements = f.DictField(
        child=DifferingValueSerializer(many=True),
        help_text="`name`, `sex` and `birth_date`, each with its values",
    )


class PatientSearchSerializer(RequestSerializer):
    """In the body, so that no name or identifier appears in a URL or a log."""

    q = f.StrictCharField(max_length=64, help_text="words that begin the patient ID or occur in the name")


class StudySearchSerializer(RequestSerializer):
    q = f.StrictCharField(max_length=64, help_text="words of the patient's name or ID, or accession number")
    status = f.ChoiceField(required=False, choices=StudyStatus.choices, help_text="only with this status")
    finding = f.StrictCharField(
        required=False, max_length=64, help_text="only studies whose worst scan has this finding"
    )


class PatientLookupSerializer(RequestSerializer):
    patient_ids = f.ListField(
        child=f.StrictCharField(max_length=64),
        min_length=1,
        max_length=500,
        help_text="PatientIDs (0010,0020)",
    )


class PatientLookupResultSerializer(f.Serializer):
    results = f.DictField(
        child=PatientSerializer(), help_text="PatientID to the patient at the site; unknown ones are left out"
    )


class PatientMergeSerializer(RequestSerializer):
    source_uuid = f.UUIDField(help_text=f"{PATIENT} to merge into the one in the path")
    reason = f.ReasonField()


class PatientUnmergeSerializer(RequestSerializer):
    reason = f.ReasonField()


class RescoreSerializer(f.Serializer):
    waiting = f.IntegerField(min_value=0, help_text="number of scans that are queued for an active model")
