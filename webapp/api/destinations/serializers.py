"""Destinations of results, their rules, and deliveries with the log of attempts."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_field

from webapp.api import fields as f
from webapp.api.serializers.base import RequestSerializer
from webapp.results.kinds import CHOOSABLE, NO_FINDING, DestinationKind, When
from webapp.results.models import AE_TITLE, Cause, DeliveryStatus, ResultDelivery

OBJECTS = [kind.value for kind in CHOOSABLE]
FINDINGS = f"codes of reported findings; `{NO_FINDING}`: no finding reported; empty: any"
KINDS = "objects to send, by kind; FHIR and HL7 destinations get the result itself"
WHEN = "`at_once`: when the analysis is done; `after_reading`: after a reading is signed; or `on_request`"
MOST_LISTED = 50
URL = RegexValidator(r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[!-~]*)?$")
HOST = RegexValidator(r"^[A-Za-z0-9.:-]+$")


class ResultRuleSerializer(f.Serializer):
    id = f.IdField()
    when = f.ChoiceField(When.choices, help_text=WHEN)
    findings = f.ListField(child=f.CharField(), help_text=FINDINGS)
    withheld = f.BooleanField(help_text="whether withheld results are sent too")
    kinds = f.ListField(child=f.ChoiceField(OBJECTS), help_text=KINDS)
    created_at = f.CreatedAtField()


class DestinationSerializer(f.Serializer):
    id = f.IdField()
    name = f.CharField(help_text="name in lists")
    kind = f.ChoiceField(DestinationKind.choices, help_text="protocol")
    url = f.TextOrNullField(help_text="address for `stow` and `fhir`; else null")
    host = f.TextOrNullField(help_text="host for `dicom` and `hl7`; else null")
    port = f.IntegerField(allow_null=True, help_text="port for `dicom` and `hl7`; else null")
    called_ae = f.TextOrNullField(help_text="AE title of the receiver, for `dicom`; else null")
    calling_ae = f.TextOrNullField(help_text="AE title of this server, for `dicom`")
    tls = f.BooleanField(help_text="whether DICOM or HL7 goes through TLS")
    credential = f.TextOrNullField(help_text="name of an entry of HILUM_RESULT_CREDENTIALS; null without one")
    active = f.BooleanField(help_text="whether results are sent")
    failures = f.IntegerField(help_text="number of failed attempts in a row")
    paused_until = f.DateTimeField(
        allow_null=True, help_text="receiver is down, next attempt then; null if not"
    )
    rules = f.SerializerMethodField(help_text="which results are sent, as what, and when")
    created_at = f.CreatedAtField()

    @extend_schema_field(ResultRuleSerializer(many=True))
    def get_rules(self, destination: Any) -> Any:
        return ResultRuleSerializer(destination.rules.all(), many=True).data


class PatternField(f.StrictCharField):
    """An optional text of a `pattern`, which the schema states."""

    def __init__(self, pattern: RegexValidator, **options: Any) -> None:
        super().__init__(required=False, **options)
        self.validators.append(pattern)


class _AddressSerializer(RequestSerializer):
    url = PatternField(URL, max_length=500, help_text="address, for `stow` and `fhir`")
    host = PatternField(HOST, max_length=253, help_text="name or address, for `dicom` and `hl7`")
    port = f.StrictIntegerField(
        required=False, min_value=1, max_value=65535, help_text="11112 for `dicom`, 2575 for `hl7` if absent"
    )
    called_ae = PatternField(AE_TITLE, max_length=16, help_text="AE title of the receiver")
    calling_ae = PatternField(AE_TITLE, max_length=16, help_text="AE title of this server")
    tls = f.StrictBooleanField(required=False, help_text="send DICOM or HL7 through TLS")
    credential = f.StrictCharField(
        required=False,
        max_length=64,
        allow_blank=True,
        help_text="name of an entry of HILUM_RESULT_CREDENTIALS; empty for none",
    )


class DestinationCreateSerializer(_AddressSerializer):
    name = f.StrictCharField(max_length=100, help_text="name in lists")
    kind = f.ChoiceField(DestinationKind.choices, help_text="protocol")


class DestinationChangeSerializer(_AddressSerializer):
    name = f.StrictCharField(required=False, max_length=100, help_text="name in lists")
    active = f.StrictBooleanField(required=False, help_text="whether results are sent")


class ResultRuleCreateSerializer(RequestSerializer):
    when = f.ChoiceField(When.choices, help_text=WHEN)
    findings = f.ListField(
        child=f.StrictCharField(max_length=64),
        required=False,
        max_length=50,
        default=list,
        help_text=FINDINGS,
    )
    withheld = f.StrictBooleanField(
        required=False, default=True, help_text="whether withheld results are sent too"
    )
    kinds = f.ListField(
        child=f.ChoiceField(OBJECTS),
        required=False,
        min_length=1,
        max_length=len(OBJECTS),
        default=["result"],
        help_text=KINDS,
    )


class ResultSendSerializer(RequestSerializer):
    destination = f.UUIDField(help_text="a destination of the site that has a rule `on_request`")


class ResultAttemptSerializer(f.Serializer):
    at = f.DateTimeField(source="created_at", help_text="when the attempt ended")
    accepted = f.IntegerField(help_text="number of objects that the receiver accepted")
    reason = f.TextOrNullField(source="error_code", help_text="code of the failure; null if there was none")
    problem = f.TextOrNullField(help_text="response of the receiver, shortened; null if there was none")
    seconds = f.FloatField(help_text="duration of the attempt")


class ResultDeliverySerializer(f.Serializer):
    id = f.IdField()
    destination = f.UUIDField(source="destination_id", help_text="where it is sent")
    status = f.ChoiceField(DeliveryStatus.choices, help_text="`failed`: given up until it is sent again")
    cause = f.ChoiceField(Cause.choices, help_text="why it was queued; `correction`: the scan was moved")
    kinds = f.ListField(child=f.CharField(), help_text="kinds of objects")
    study = f.UUIDField(source="study_id", allow_null=True, help_text="UUID of the study; null for a test")
    scan = f.UUIDField(
        source="scan_id", allow_null=True, help_text="UUID of the scan; null for a reading or a test"
    )
    reason = f.TextOrNullField(source="error_code", help_text="code of the latest failure; null if none")
    attempts = f.SerializerMethodField(help_text=f"the latest {MOST_LISTED} attempts, oldest first")
    created_at = f.CreatedAtField(help_text="when it was queued")

    @extend_schema_field(ResultAttemptSerializer(many=True))
    def get_attempts(self, delivery: ResultDelivery) -> Any:
        return ResultAttemptSerializer(list(delivery.tries.all())[-MOST_LISTED:], many=True).data
