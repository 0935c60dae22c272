"""Site calibrations of model versions."""

from __future__ import annotations

from typing import Any

from classifier.evaluation.site.correction import NONE, RECALIBRATIONS
from webapp.api import fields as f
from webapp.api.serializers.base import RequestSerializer
from webapp.labels.calibration.choices import (
    BY_RATE,
    FALSE_ALARM_RATE,
    PREVALENCES,
    RATES,
    RULES,
    SHARES,
    THRESHOLDS,
    UNCHANGED,
)

MEASURES = (
    "`threshold`, `sensitivity`, `specificity`, `false_alarms`, `ppv`, `alarms` per 100 scans; 95 % intervals"
)


class CalibrationChoicesSerializer(RequestSerializer):
    """What to fit on the site's labelled scans."""

    recalibration = f.ChoiceField(
        list(RECALIBRATIONS),
        default=NONE,
        help_text="`temperature` needs 50 labelled scans, `isotonic` 500",
    )
    prevalence = f.ChoiceField(
        list(PREVALENCES),
        default=UNCHANGED,
        help_text="correct the probabilities to the share of each finding among the labelled scans "
        "(`labels`), as estimated from all results without labels (`stream`), or as given in `shares` "
        "(`stated`)",
    )
    shares = f.DictField(
        child=f.StrictFloatField(min_value=SHARES[0], max_value=SHARES[1], help_text="share of scans"),
        required=False,
        help_text="for `stated`: share of each finding; they add up to 1 where findings exclude each other",
    )
    rule = f.ChoiceField(
        list(RULES),
        default=BY_RATE,
        help_text="choose thresholds by `rate`, take those in `thresholds` (`chosen`), or keep the `model`'s",
    )
    rate = f.StrictFloatField(
        default=FALSE_ALARM_RATE,
        min_value=RATES[0],
        max_value=RATES[1],
        help_text="largest share of scans labelled normal that may reach the threshold of another finding",
    )
    thresholds = f.DictField(
        child=f.StrictFloatField(min_value=THRESHOLDS[0], max_value=THRESHOLDS[1], help_text="probability"),
        required=False,
        help_text="for `chosen`: threshold of each finding",
    )


class CalibrationCreateSerializer(RequestSerializer):
    choices = CalibrationChoicesSerializer(required=False, help_text="what to fit; as previewed")
    reason = f.ReasonField()
    fingerprint = f.StrictCharField(
        required=False,
        max_length=64,
        help_text="as the preview returned it; 409 if labels have changed since",
    )
    until = f.StrictDateTimeField(
        required=False, help_text="as the preview returned it: results after that do not count"
    )


class CalibrationUseSerializer(RequestSerializer):
    number = f.StrictIntegerField(
        allow_null=True, min_value=1, max_value=999_999, help_text="site calibration; null: the model's own"
    )
    reason = f.ReasonField()


class CalibrationPreviewSerializer(f.Serializer):
    """What a calibration would do on the site's labelled scans."""

    until = f.DateTimeField(help_text="when it was computed; give it back to set the same")
    fingerprint = f.CharField(source="cases.fingerprint", help_text="SHA-256 of the results and their labels")
    scans = f.SerializerMethodField(help_text="number of labelled scans with a result of this model version")
    patients = f.SerializerMethodField(help_text="number of their patients, who are drawn in the bootstrap")
    withheld = f.IntegerField(
        source="cases.withheld", help_text="labelled scans left out, as the result is withheld"
    )
    counts = f.DictField(help_text="by finding: `labelled`, `present` and `absent` scans")
    prevalence = f.DictField(
        source="shares",
        help_text="by finding: its share in the model's validation data, among the labelled scans, estimated",
    )
    correction = f.DictField(source="correction.as_dict", help_text="fitted numbers")
    thresholds = f.DictField(child=f.FloatField(), help_text="proposed threshold by finding")
    current = f.DictField(help_text=f"the operating point in use, by finding: {MEASURES}")
    proposed = f.DictField(help_text="the same as proposed")
    curves = f.DictField(help_text=f"by finding, for thresholds over the whole range: {MEASURES}")
    problems = f.ListField(child=f.CharField(), help_text="why it cannot be set; empty if it can")
    warnings = f.ListField(child=f.CharField(), help_text="what makes it uncertain")

    def get_scans(self, preview: Any) -> int:
        return len(preview.cases)

    def get_patients(self, preview: Any) -> int:
        return len(set(preview.cases.patients))


class SiteCalibrationSerializer(f.Serializer):
    """One site's calibration of one model version; it never changes."""

    id = f.IdField()
    number = f.IntegerField(help_text="number at the site and for the model version, from 1")
    model = f.UUIDField(source="model_version_id", help_text="ID of the model version")
    site = f.UUIDField(source="site_id", help_text="ID of the site")
    choices = f.DictField(help_text="what was asked for")
    correction = f.DictField(help_text="fitted numbers")
    thresholds = f.DictField(child=f.FloatField(), help_text="probability from which a finding is reported")
    report = f.DictField(help_text="the preview on which it was decided")
    by = f.CharField(source="by.username", help_text="user name")
    reason = f.CharField(help_text="why")
    created_at = f.CreatedAtField(help_text="when it was made")


class CalibrationChangeSerializer(f.Serializer):
    at = f.DateTimeField(source="created_at", help_text="when it was changed")
    number = f.IntegerField(
        source="calibration.number", allow_null=True, help_text="site calibration; null: the model's own"
    )
    by = f.CharField(source="by.username", help_text="user name")
    reason = f.CharField(help_text="why")


class ModelCalibrationSerializer(f.Serializer):
    """The calibration that new results of a model version use at the token's site."""

    model = f.UUIDField(help_text="ID of the model version")
    site = f.UUIDField(help_text="ID of the site")
    calibration = SiteCalibrationSerializer(
        allow_null=True, help_text="the site calibration in use; null: the model's own"
    )
    not_carried_over = f.UUIDOrNullField(
        "not_carried_over.pk",
        "ID of a site calibration of another version of the slot, which this version does not use; or null",
    )
    changes = CalibrationChangeSerializer(many=True, help_text="the latest 50 changes, newest first")
