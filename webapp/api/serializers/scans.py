"""Scans, analyses, activation maps and explanations."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field

from classifier.contract import DISCLAIMER, RELATIVE, Slot, findings_in_text
from classifier.images.archive.listing import Skip
from classifier.reasons import ResultWarning
from webapp.analysis.limits import limits_of
from webapp.analysis.models import Analysis, Explanation
from webapp.analysis.result_warnings import warnings_of
from webapp.analysis.state import ScanStatus, state_of
from webapp.api import fields as f
from webapp.api.serializers.base import RequestSerializer
from webapp.registry.models import ModelVersion
from webapp.scans.models import Scan
from webapp.scans.uploads.stated_metadata import LENGTH, LINE, MODALITIES, SEXES, VIEW_LENGTH

ANALYSIS_STATES = ["queued", "running", "failed", "done", "abstained"]
SLOTS = [slot.value for slot in Slot]
REASON = "code of the reason, such as `too_small` or `lateral_view`; null if none"
CALIBRATION = "`model`: the model's own calibration; `site-2`: site calibration 2"
FINDING = "reported finding, at or above its threshold; null if none"


@extend_schema_field({"type": "string"})
class DisclaimerField(f.ReadOnlyField):
    """The same in every response with a result."""

    def __init__(self) -> None:
        super().__init__(help_text="research use, not a medical device; show it with the result")

    def get_attribute(self, instance: object) -> str:
        return DISCLAIMER


@extend_schema_field({"type": "string", "maxLength": LENGTH, "pattern": f"^{LINE}*$"})
class StatedField(f.CharField):
    """Stated by the uploader: `scans.stated_metadata` reads it, and refuses it with a code of its own."""

    def __init__(self, help_text: str) -> None:
        super().__init__(required=False, allow_blank=True, default="", help_text=help_text)


@extend_schema_field({"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "maxLength": 0}]})
class StatedDateField(StatedField):
    pass


@extend_schema_field({"type": "string", "pattern": f"^({'|'.join(MODALITIES)})$"})
class StatedModalityField(StatedField):
    pass


@extend_schema_field({"type": "string", "maxLength": VIEW_LENGTH, "pattern": f"^{LINE}*$"})
class StatedViewField(StatedField):
    pass


@extend_schema_field({"type": "string", "pattern": f"^({'|'.join(SEXES)})?$"})
class StatedSexField(StatedField):
    pass


@extend_schema_field({"type": "string", "pattern": r"^([0-9]{1,3}([DWMY]|\.[0-9]*)?)?$"})
class StatedAgeField(StatedField):
    pass


class StatedMetadataSerializer(RequestSerializer):
    patient_id = StatedField("PatientID (0010,0020), for a file without one")
    study = StatedField("AccessionNumber or StudyInstanceUID, for a file without one")
    date = StatedDateField("StudyDate (0008,0020) as YYYY-MM-DD, for a file without one")
    modality = StatedModalityField("auto, cxr or ct")
    view = StatedViewField("ViewPosition (0018,5101), such as PA, for a file without one")
    sex = StatedSexField("PatientSex (0010,0040): F, M or O, for a file without one")
    age = StatedAgeField("PatientAge (0010,1010) in years, for a file without one")
    date_relative = StatedField("`true` where `date` is made up and only keeps order and distance of studies")


class ScanUploadSerializer(StatedMetadataSerializer):
    file = f.UploadedFileField(
        allow_empty_file=True, help_text="DICOM, PNG, JPEG, TIFF or WebP, or a ZIP of them"
    )


class AnalysisModelSerializer(f.Serializer):
    """The model version that made an analysis."""

    id = f.IdField()
    name = f.CharField(source="*", help_text="slot and number, such as `cxr-3`")
    slot = f.ChoiceField(SLOTS, help_text="kind of image")
    sha256 = f.CharField(help_text="SHA-256 of the model file")
    calibrated = f.BooleanField(help_text="whether probabilities are calibrated on validation data")
    thresholds = f.DictField(child=f.FloatField(), help_text="probability from which a finding is reported")

    def to_representation(self, version: ModelVersion) -> dict[str, Any]:
        # A page of analyses has few models, and reading a specification is slow.
        known = self.context.setdefault("models", {})
        if version.pk not in known:
            spec = version.model_spec
            known[version.pk] = {
                "id": str(version.pk),
                "name": str(version),
                "slot": version.slot,
                "sha256": version.sha256,
                "calibrated": spec.calibrated,
                "thresholds": {finding: spec.threshold(finding) for finding in spec.findings},
            }
        return known[version.pk]


class CamSerializer(f.Serializer):
    """Class activation maps."""

    grids = f.DictField(
        child=f.ListField(child=f.ListField(child=f.FloatField())),
        help_text="logit contributions by finding, as rows of columns",
    )
    affine = f.ListField(
        child=f.FloatField(), min_length=6, max_length=6, help_text="grid to original pixels"
    )
    scale = f.FloatField(help_text="the value drawn at full strength")
    inside_lungs = f.FloatField(
        allow_null=True,
        help_text="share of the map inside the lungs, 0 to 1, for the reported or most probable finding; "
        "null if the model has no lung segmenter",
    )

    def to_representation(self, cam: dict[str, Any]) -> dict[str, Any]:
        return cam  # Stored as it is sent: thousands of numbers, none of which a field would change.


class PredictionSetSerializer(f.Serializer):
    """Findings that include the true one with a stated probability."""

    findings = f.ListField(child=f.CharField(), help_text="finding codes, most probable first")
    coverage = f.FloatField(help_text="probability, on validation data, that they include the true one")
    text = f.SerializerMethodField(help_text="the set in words, such as `COVID-19 or pneumonia`")

    def get_text(self, prediction_set: dict[str, Any]) -> str:
        return findings_in_text(prediction_set["findings"])


class ResultWarningSerializer(f.Serializer):
    """A warning for one image."""

    code = f.ChoiceField([warning.value for warning in ResultWarning], help_text="code of the warning")
    text = f.CharField(help_text="the problem, with what was measured")
    remedy = f.CharField(help_text="what to do about it")


class AnalysisSerializer(f.Serializer):
    """One model version applied to one scan."""

    id = f.IdField()
    scan = f.UUIDField(source="scan_id", help_text="ID of the scan")
    status = f.SerializerMethodField(help_text="`abstained`: finished, but the result is withheld")
    reason = f.SerializerMethodField(help_text="code of the abstention or the error; null if neither")
    finding = f.TextOrNullField(help_text=FINDING)
    probabilities = f.SerializerMethodField(help_text="0 to 1 by finding; null before the analysis is done")
    calibration = f.CharField(source="calibration_name", help_text=CALIBRATION)
    thresholds = f.SerializerMethodField(
        help_text="probability from which a finding is reported, by this calibration"
    )
    model_probabilities = f.SerializerMethodField(
        help_text="the model's own, before a site calibration; null before the analysis is done"
    )
    prediction_set = PredictionSetSerializer(
        allow_null=True, help_text="what the finding may be; null before the analysis is done or without sets"
    )
    limits = f.SerializerMethodField(
        help_text="how the model did outside the origins of its training data; show it with the result; null "
        "before the analysis is done"
    )
    warnings = f.SerializerMethodField(help_text="doubts about this result; show them with it")
    withheld = f.BooleanField(help_text="whether the model abstained: the numbers are no result")
    uncertainty = f.FloatField(
        allow_null=True,
        min_value=0,
        max_value=1,
        help_text="normalised entropy of the probabilities, 0 (certain) to 1; null until it is done",
    )
    cam = f.SerializerMethodField(help_text="activation maps; null in lists and where there are none (yet)")
    model = AnalysisModelSerializer(source="model_version", help_text="the model version, as it was made")
    seconds = f.FloatField(allow_null=True, help_text="computing time; null before the analysis is done")
    created_at = f.CreatedAtField(help_text="when the analysis was queued")

    @extend_schema_field({"type": "string", "enum": ANALYSIS_STATES})
    def get_status(self, analysis: Analysis) -> str:
        return "abstained" if analysis.withheld else analysis.status

    def get_reason(self, analysis: Analysis) -> str | None:
        return analysis.abstention or analysis.error_code or None

    def get_probabilities(self, analysis: Analysis) -> dict[str, float] | None:
        return analysis.probabilities or None

    def get_thresholds(self, analysis: Analysis) -> dict[str, float]:
        model = AnalysisModelSerializer(context=self.context).to_representation(analysis.model_version)
        return model["thresholds"] | (analysis.calibration.thresholds if analysis.calibration else {})

    def get_model_probabilities(self, analysis: Analysis) -> dict[str, float] | None:
        return analysis.own_probabilities or None

    def get_limits(self, analysis: Analysis) -> str | None:
        return limits_of(analysis) or None

    @extend_schema_field(ResultWarningSerializer(many=True))
    def get_warnings(self, analysis: Analysis) -> list[dict[str, Any]]:
        return [ResultWarningSerializer(warning).data for warning in warnings_of(analysis)]

    @extend_schema_field(CamSerializer(allow_null=True))
    def get_cam(self, analysis: Analysis) -> dict[str, Any] | None:
        stored = getattr(analysis, "stored_cam", None) if self.context.get("maps", True) else None
        return stored.cam if stored else None


class MemberSerializer(f.Serializer):
    """An image of an archive."""

    id = f.UUIDOrNullField(
        "member.upload_id", "ID of the scan; null if the same file belongs to another patient"
    )
    file = f.CharField(source="member.name", help_text="its name in the archive")
    status = f.ChoiceField(ScanStatus.choices, source="state.status", help_text="processing status")
    reason = f.TextOrNullField(source="state.reason", help_text=REASON)
    finding = f.TextOrNullField(source="state.analysis.finding", help_text=FINDING)


class SkippedSerializer(f.Serializer):
    """Files of an archive that were skipped for one reason."""

    reason = f.ChoiceField([skip.value for skip in Skip], help_text="code of the reason")
    count = f.IntegerField(help_text="number of files")
    names = f.ListField(child=f.CharField(), help_text="the first few names in the archive")


class ScanSerializer(f.Serializer):
    """A scan, or the upload that is still to become one.

    An archive is `done` when each of its `members` is; `members` and `skipped` are empty for a single image.
    """

    id = f.UUIDField(source="record.pk", help_text="the same from the upload on")
    status = f.ChoiceField(
        ScanStatus.choices,
        source="state.status",
        help_text="`waiting`: no model for this kind of image; `abstained`: the result is withheld",
    )
    reason = f.TextOrNullField(source="state.reason", help_text=REASON)
    detail = f.CharField(source="advice.problem", allow_null=True, help_text="why there is no result")
    remedy = f.CharField(source="advice.remedy", allow_null=True, help_text="what to do about it")
    patient_id = f.TextOrNullField(
        help_text="PatientID (0010,0020), as stated until the file is parsed; null if unknown or hidden"
    )
    patient_uuid = f.UUIDOrNullField("patient.pk", "Hilum's UUID of the patient; null until parsed")
    study_uuid = f.UUIDOrNullField("scan.study.pk", "Hilum's UUID of the study; null until parsed")
    modality = f.TextOrNullField(help_text="kind of image, as stated until parsed; null if unknown")
    synthetic = f.BooleanField(help_text="simulated image (phantom): Synthetic Data (0008,001C)")
    polarity_turned = f.BooleanField(help_text="whether the image was stored as a negative and was inverted")
    rows = f.IntegerField(source="scan.rows", allow_null=True, help_text="Rows (0028,0010)")
    columns = f.IntegerField(source="scan.columns", allow_null=True, help_text="Columns (0028,0011)")
    view_position = f.TextOrNullField(
        source="scan.view_position", help_text="ViewPosition (0018,5101), such as `PA`; null if unknown"
    )
    acquired_at = f.DateTimeField(
        source="scan.acquired_at",
        allow_null=True,
        help_text="AcquisitionDateTime (0008,002A); null if unknown",
    )
    notes = f.DictField(help_text="notable properties of the file: code to details")
    duplicate_of = f.UUIDOrNullField(
        "scan.duplicate_of_id", "ID of an earlier scan of the site with the same pixels; null if none"
    )
    received_at = f.DateTimeField(source="upload.created_at", help_text="when the file was uploaded")
    analyses = AnalysisSerializer(many=True, help_text="one per model version, newest first")
    members = MemberSerializer(many=True, help_text="images of an archive, 500 at once: see `members_from`")
    members_total = f.IntegerField(help_text="number of images in the archive; 0 for a single image")
    skipped = SkippedSerializer(many=True, help_text="files of an archive that were skipped, by reason")
    disclaimer = DisclaimerField()


class ScanRowSerializer(f.Serializer):
    """A scan in a list, with its current result: that of the newest finished analysis."""

    id = f.IdField()
    status = f.ChoiceField(ScanStatus.choices, source="state.status", help_text="processing status")
    reason = f.TextOrNullField(source="state.reason", help_text=REASON)
    finding = f.TextOrNullField(source="state.analysis.finding", help_text=FINDING)
    probabilities = f.SerializerMethodField(help_text="0 to 1 by finding; null without a result")
    withheld = f.SerializerMethodField(help_text="whether the model abstained: the numbers are no result")
    analysis = f.UUIDOrNullField("state.analysis.pk", "ID of the current analysis; null if none")
    model = f.CharField(
        source="state.analysis.model_version",
        allow_null=True,
        help_text="model version of that analysis, such as `cxr-3`; null if none",
    )
    calibration = f.CharField(
        source="state.analysis.calibration_name", allow_null=True, help_text=f"{CALIBRATION}; null if none"
    )
    patient_uuid = f.UUIDField(source="of_patient", help_text="Hilum's UUID of the patient")
    study_uuid = f.UUIDField(source="in_study", help_text="Hilum's UUID of the study")
    modality = f.ChoiceField(SLOTS, source="slot", help_text="kind of image")
    view_position = f.TextOrNullField(help_text="ViewPosition (0018,5101), such as `PA`; null if unknown")
    synthetic = f.BooleanField(help_text="simulated image (phantom): Synthetic Data (0008,001C)")
    rows = f.IntegerField(help_text="Rows (0028,0010)")
    columns = f.IntegerField(help_text="Columns (0028,0011)")
    received_at = f.DateTimeField(help_text="when the file was uploaded")

    def to_representation(self, scan: Scan) -> dict[str, Any]:
        scan.state = state_of(scan)
        return super().to_representation(scan)

    def get_probabilities(self, scan: Scan) -> dict[str, float] | None:
        return (scan.state.analysis.probabilities or None) if scan.state.analysis else None

    def get_withheld(self, scan: Scan) -> bool:
        return bool(scan.state.analysis and scan.state.analysis.withheld)


class ScanMoveSerializer(RequestSerializer):
    """The patient to move the scan to, by either `patient_uuid` or `patient_id`."""

    patient_uuid = f.UUIDField(required=False, help_text="Hilum's UUID of the patient")
    patient_id = f.StrictCharField(required=False, max_length=64, help_text="PatientID (0010,0020)")
    create = f.StrictBooleanField(
        default=False, help_text="with `patient_id`: create the patient if the site has none with this ID"
    )
    reason = f.ReasonField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("patient_uuid" in attrs) == ("patient_id" in attrs):
            raise f.ValidationError({"patient_uuid": ["Give either patient_uuid or patient_id."]})
        return attrs


EXPLANATION_STATES = ["queued", "running", "failed", "done"]


class ExplanationCreateSerializer(RequestSerializer):
    method = f.ChoiceField(list(RELATIVE), help_text="explanation method")


class ExplanationSerializer(f.Serializer):
    """Maps of all findings by one method, each relative to its own maximum, which is 1 here."""

    analysis = f.UUIDField(source="analysis_id", help_text="ID of the analysis that is explained")
    method = f.ChoiceField(list(RELATIVE), help_text="explanation method")
    status = f.ChoiceField(EXPLANATION_STATES, help_text="processing status")
    reason = f.TextOrNullField(source="error_code", help_text="code of the failure; null if none")
    relative = f.SerializerMethodField(help_text="always true: such maps show where, never how strongly")
    withheld = f.BooleanField(source="analysis.withheld", help_text="whether the model abstained")
    cam = CamSerializer(allow_null=True, help_text="the maps; null in lists and until they are done")
    seconds = f.FloatField(allow_null=True, help_text="computing time; null until done")
    created_at = f.CreatedAtField(help_text="when it was requested")
    disclaimer = DisclaimerField()

    def get_relative(self, explanation: Explanation) -> bool:
        return True
