"""What the API says of scans and takes for them; the field names are the contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from classifier.contract import DISCLAIMER, Advice, Slot
from classifier.images.archive.listing import Skip
from webapp.analysis.models import Analysis
from webapp.analysis.state import ScanStatus, state_of
from webapp.api.fields import Bytes, Key, Text, Truth
from webapp.registry.models import ModelVersion
from webapp.scans.models import Scan, Upload
from webapp.scans.selectors import scan_notes
from webapp.scans.uploads.stated_metadata import LENGTH, LINE, MODALITIES

ANALYSIS_STATES = ["queued", "running", "failed", "done", "abstained"]
FAILURES = {
    "upload_failed": Advice(
        "The file could not be read.", "Send the same file again: it is tried once more."
    ),
    "failed": Advice("The analysis failed.", "Choose Try again on the scan's page."),
}


@extend_schema_field({"type": "string", "maxLength": LENGTH, "pattern": f"^{LINE}*$"})
class Said(serializers.CharField):
    """Part of a claim: `scans.claims` reads it, and refuses it with a code of its own."""

    def __init__(self, help_text: str) -> None:
        super().__init__(required=False, allow_blank=True, default="", help_text=help_text)


@extend_schema_field({"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "maxLength": 0}]})
class SaidDate(Said):
    pass


@extend_schema_field({"type": "string", "pattern": f"^({'|'.join(MODALITIES)})$"})
class SaidModality(Said):
    pass


class ScanUploadSerializer(serializers.Serializer):
    file = Bytes(allow_empty_file=True, help_text="DICOM, PNG or JPEG, or a ZIP of them")
    patient_id = Said("PatientID (0010,0020), for a file that says none")
    study = Said("AccessionNumber or StudyInstanceUID, for a file that says none")
    date = SaidDate("StudyDate (0008,0020) as YYYY-MM-DD, for a file that says none")
    modality = SaidModality("auto, cxr or ct")


class ModelSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField(help_text="slot and number, as the site writes it")
    slot = serializers.ChoiceField(choices=[slot.value for slot in Slot])
    sha256 = serializers.CharField()
    calibrated = serializers.BooleanField()
    thresholds = serializers.DictField(child=serializers.FloatField())


def model_answer(version: ModelVersion) -> dict[str, Any]:
    spec = version.model_spec
    return {
        "id": version.pk,
        "name": str(version),
        "slot": version.slot,
        "sha256": version.sha256,
        "calibrated": spec.calibrated,
        "thresholds": {finding: spec.threshold(finding) for finding in spec.findings},
    }


class CamSerializer(serializers.Serializer):
    grids = serializers.DictField(
        child=serializers.ListField(child=serializers.ListField(child=serializers.FloatField())),
        help_text="logits by finding, rows of columns",
    )
    affine = serializers.ListField(
        child=serializers.FloatField(), min_length=6, max_length=6, help_text="grid to original pixels"
    )
    scale = serializers.FloatField(help_text="the value drawn at full strength")
    inside_lungs = serializers.FloatField(allow_null=True)


class AnalysisSerializer(serializers.Serializer):
    """One model version's answer. `status`: queued, running, failed, done or abstained."""

    id = serializers.UUIDField()
    scan = serializers.UUIDField()
    status = serializers.ChoiceField(choices=ANALYSIS_STATES)
    reason = serializers.CharField(allow_null=True)
    finding = serializers.CharField(allow_null=True)
    probabilities = serializers.DictField(child=serializers.FloatField(), allow_null=True)
    withheld = serializers.BooleanField()
    uncertainty = serializers.FloatField(allow_null=True, min_value=0, max_value=1)
    cam = CamSerializer(allow_null=True)
    model = ModelSerializer()
    seconds = serializers.FloatField(allow_null=True)
    created_at = serializers.DateTimeField()


def analysis_answers(analyses: Sequence[Analysis], *, maps: bool = True) -> list[dict[str, Any]]:
    """Analyses with their models, each model told once; without `maps` a list's `cam` is null."""
    models: dict[UUID, dict[str, Any]] = {}
    for analysis in analyses:
        if analysis.model_version_id not in models:
            models[analysis.model_version_id] = model_answer(analysis.model_version)
    return [_analysis_answer(one, models[one.model_version_id], maps) for one in analyses]


def _analysis_answer(analysis: Analysis, model: dict[str, Any], maps: bool) -> dict[str, Any]:
    stored = getattr(analysis, "stored_cam", None) if maps else None
    return {
        "id": analysis.pk,
        "scan": analysis.scan_id,
        "status": "abstained" if analysis.withheld else analysis.status,
        "reason": analysis.abstention or analysis.error_code or None,
        "finding": analysis.finding or None,
        "probabilities": analysis.probabilities or None,
        "withheld": analysis.withheld,
        "uncertainty": analysis.uncertainty,
        "cam": stored.cam if stored else None,
        "model": model,
        "seconds": analysis.seconds,
        "created_at": analysis.created_at,
    }


class MemberSerializer(serializers.Serializer):
    """An image of an archive. `id` is null where the same file is already filed to another patient."""

    id = serializers.UUIDField(allow_null=True)
    file = serializers.CharField(help_text="its name in the archive")
    status = serializers.ChoiceField(choices=ScanStatus.choices)
    reason = serializers.CharField(allow_null=True)
    finding = serializers.CharField(allow_null=True)


class SkippedSerializer(serializers.Serializer):
    """Files of an archive that were left out for one reason, the first few by name."""

    reason = serializers.ChoiceField(choices=[skip.value for skip in Skip])
    count = serializers.IntegerField()
    names = serializers.ListField(child=serializers.CharField())


class ScanSerializer(serializers.Serializer):
    """A scan, or the upload that is still to become one. `reason` and `remedy` say why there is no answer.

    An archive is `done` when each of its `members` is; they and `skipped` are empty for a single image.
    """

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=ScanStatus.choices)
    reason = serializers.CharField(allow_null=True)
    detail = serializers.CharField(allow_null=True)
    remedy = serializers.CharField(allow_null=True)
    patient_id = serializers.CharField(allow_null=True)
    patient = serializers.UUIDField(allow_null=True)
    study = serializers.UUIDField(allow_null=True)
    modality = serializers.CharField(allow_null=True)
    synthetic = serializers.BooleanField()
    polarity_turned = serializers.BooleanField()
    rows = serializers.IntegerField(allow_null=True)
    columns = serializers.IntegerField(allow_null=True)
    view_position = serializers.CharField(allow_null=True)
    acquired_at = serializers.DateTimeField(allow_null=True)
    notes = serializers.DictField(help_text="what to know of the file, by code, with details")
    duplicate_of = serializers.UUIDField(allow_null=True)
    received_at = serializers.DateTimeField()
    analyses = AnalysisSerializer(many=True)
    members = MemberSerializer(many=True)
    members_total = serializers.IntegerField()
    skipped = SkippedSerializer(many=True)
    disclaimer = serializers.CharField()


def scan_answer(record: Scan | Upload, analyses: list[Analysis]) -> dict[str, Any]:
    """The API's form of a scan or of an upload that has none yet."""
    scan = record if isinstance(record, Scan) else None
    state = state_of(record, analyses if scan else None)
    upload = scan.upload if scan else record
    advice = state.advice or FAILURES.get(state.status)
    return {
        "id": record.pk,
        "status": state.status.value,
        "reason": state.reason or None,
        "detail": advice.problem if advice else None,
        "remedy": advice.remedy if advice else None,
        "patient_id": scan.patient.patient_id if scan else upload.claimed_patient_id or None,
        "patient": scan.patient.pk if scan else None,
        "study": scan.study.pk if scan else None,
        "modality": scan.slot if scan else upload.claimed_modality or None,
        "synthetic": scan.synthetic if scan else False,
        "polarity_turned": scan.polarity_turned if scan else False,
        "rows": scan.rows if scan else None,
        "columns": scan.columns if scan else None,
        "view_position": scan.view_position or None if scan else None,
        "acquired_at": scan.acquired_at if scan else None,
        "notes": scan_notes(scan) if scan else {},
        "duplicate_of": scan.duplicate_of_id if scan else None,
        "received_at": upload.created_at,
        "analyses": analysis_answers(analyses),
        "members": [],
        "members_total": 0,
        "skipped": [],
        "disclaimer": DISCLAIMER,
    }


class ScanRowSerializer(serializers.Serializer):
    """A scan in a list, with the answer that speaks for it: its newest finished analysis."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=ScanStatus.choices)
    reason = serializers.CharField(allow_null=True)
    finding = serializers.CharField(allow_null=True, help_text="null: none is above its threshold")
    probabilities = serializers.DictField(child=serializers.FloatField(), allow_null=True)
    withheld = serializers.BooleanField()
    analysis = serializers.UUIDField(allow_null=True)
    model = serializers.CharField(allow_null=True)
    patient = serializers.UUIDField()
    study = serializers.UUIDField()
    modality = serializers.ChoiceField(choices=[slot.value for slot in Slot])
    view_position = serializers.CharField(allow_null=True)
    synthetic = serializers.BooleanField()
    rows = serializers.IntegerField()
    columns = serializers.IntegerField()
    received_at = serializers.DateTimeField()


def scan_row(scan: Scan) -> dict[str, Any]:
    """A scan of `analysis.selectors.with_answers` as lists tell it."""
    state = state_of(scan)
    analysis = state.analysis
    return {
        "id": scan.pk,
        "status": state.status.value,
        "reason": state.reason or None,
        "finding": analysis.finding or None if analysis else None,
        "probabilities": analysis.probabilities or None if analysis else None,
        "withheld": analysis.withheld if analysis else False,
        "analysis": analysis.pk if analysis else None,
        "model": str(analysis.model_version) if analysis else None,
        "patient": scan.of_patient,
        "study": scan.in_study,
        "modality": scan.slot,
        "view_position": scan.view_position or None,
        "synthetic": scan.synthetic,
        "rows": scan.rows,
        "columns": scan.columns,
        "received_at": scan.received_at,
    }


class MoveSerializer(serializers.Serializer):
    """To whom the scan is filed: a patient's own id, or an identifier, `new` to make that patient."""

    patient = Key(required=False)
    patient_id = Text(required=False, max_length=64)
    new = Truth(required=False, default=False)
    reason = Text(max_length=500)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("patient" in attrs) == ("patient_id" in attrs):
            raise serializers.ValidationError({"patient": ["Give either patient or patient_id."]})
        return attrs
