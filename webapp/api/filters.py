"""Query parameters of lists: states, kinds, times and Hilum's UUIDs; never a name or an identifier.

Those would appear in URLs, hence in logs: they are searched for by POST.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import django_filters as df
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema_field
from rest_framework.request import Request

from classifier.contract import Slot
from webapp.analysis.models import StudyStatus
from webapp.api.fields import ANY_TEXT, DATE_TIME, DATE_TIME_HINT
from webapp.core.errors import CodedError
from webapp.core.jobs.table import JobStatus
from webapp.labels.models import LabelSource
from webapp.monitoring.kinds import Signal
from webapp.monitoring.models import AlarmStatus
from webapp.registry.models import ModelStatus
from webapp.scans.models import UploadStatus
from webapp.training.models import RunStatus
from webapp.webhooks.models import DeliveryStatus


class Filters(DjangoFilterBackend):
    """django-filter's, whose errors leave as our problem details."""

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        filterset = self.get_filterset(request, queryset, view)
        if filterset is None:
            return queryset
        if not filterset.is_valid():
            raise CodedError("invalid", fields={k: list(map(str, v)) for k, v in filterset.errors.items()})
        return filterset.qs


class DateTimeFormField(forms.Field):
    def to_python(self, value: str | None) -> datetime | None:
        if not value:
            return None
        try:
            if not DATE_TIME.fullmatch(value):
                raise ValueError
            return datetime.fromisoformat(value.upper())
        except ValueError as error:
            raise ValidationError(DATE_TIME_HINT) from error


class UUIDFormField(forms.Field):
    def to_python(self, value: str | None) -> uuid.UUID | None:
        if not value:
            return None
        try:
            if len(value) != 36:
                raise ValueError
            return uuid.UUID(value)
        except ValueError as error:
            raise ValidationError("Must be a UUID.") from error


class BooleanFormField(forms.Field):
    def to_python(self, value: str | None) -> bool | None:
        if value in (None, ""):
            return None
        if value not in ("true", "false"):
            raise ValidationError("Must be true or false.")
        return value == "true"


class DateTimeFilter(df.IsoDateTimeFilter):
    field_class = DateTimeFormField


class UUIDFilter(df.UUIDFilter):
    field_class = UUIDFormField

    def __init__(self, field_name: str | None, text: str) -> None:
        super().__init__(field_name=field_name, help_text=text)


class BooleanFilter(df.BooleanFilter):
    field_class = BooleanFormField

    def __init__(self, field_name: str | None, text: str, **options: Any) -> None:
        super().__init__(field_name=field_name, help_text=text, **options)


class ChoiceFilter(df.ChoiceFilter):
    def __init__(self, choices: Iterable[str], text: str, field_name: str | None = None) -> None:
        pairs = [(str(choice), str(choice)) for choice in choices]
        super().__init__(choices=pairs, help_text=text, field_name=field_name)


def after(column: str) -> DateTimeFilter:
    return DateTimeFilter(field_name=column, lookup_expr="gte", help_text="only at this time or later")


def before(column: str) -> DateTimeFilter:
    return DateTimeFilter(field_name=column, lookup_expr="lt", help_text="only before this time")


def exact(length: int, text: str) -> df.CharFilter:
    schema = {"type": "string", "minLength": 1, "maxLength": length, "pattern": ANY_TEXT, "description": text}
    return extend_schema_field(schema)(df.CharFilter(max_length=length, help_text=text))


def slot(text: str = "only this kind of image", field_name: str | None = None) -> ChoiceFilter:
    return ChoiceFilter(Slot, text, field_name)


class UploadFilter(df.FilterSet):
    status = ChoiceFilter(UploadStatus.values, "only uploads with this status")
    archive = UUIDFilter("parent", "only images that first arrived in this archive")
    received_after, received_before = after("created_at"), before("created_at")


class ScanFilter(df.FilterSet):
    modality = slot(field_name="slot")
    synthetic = BooleanFilter("synthetic", "`true`: only simulated images (phantoms); `false`: no phantoms")
    patient_uuid = UUIDFilter("series__study__patient", "only scans of this patient")
    study_uuid = UUIDFilter("series__study", "only scans of this study")
    received_after, received_before = after("received_at"), before("received_at")


class AnalysisFilter(df.FilterSet):
    status = ChoiceFilter(
        JobStatus.values, "only analyses with this status; `done` includes withheld results"
    )
    scan = UUIDFilter("scan", "only analyses of this scan")
    model = UUIDFilter("model_version", "only analyses by this model version")
    finding = exact(64, "only analyses that report this finding, such as `pneumonia`")
    withheld = BooleanFilter("withheld", "`true`: only withheld results; `false`: only the others")
    created_after, created_before = after("created_at"), before("created_at")


class StudyFilter(df.FilterSet):
    status = ChoiceFilter(StudyStatus.values, "only studies with this status")
    finding = exact(64, "only studies whose worst scan has this finding, such as `pneumonia`")
    patient_uuid = UUIDFilter("study__patient", "only studies of this patient")
    latest_after, latest_before = after("latest_at"), before("latest_at")


class PatientFilter(df.FilterSet):
    provisional = BooleanFilter(
        "provisional", "`true`: only records without a patient ID; `false`: the others"
    )
    created_after, created_before = after("created_at"), before("created_at")


class ModelFilter(df.FilterSet):
    slot = slot("only models for this kind of image")
    status = ChoiceFilter(ModelStatus.values, "only model versions with this status")


class PromotionFilter(df.FilterSet):
    model = UUIDFilter("model_version", "only promotions of this model version")
    slot = slot("only promotions for this kind of image", "model_version__slot")


class AlarmFilter(df.FilterSet):
    status = ChoiceFilter(AlarmStatus.values, "only alarms with this status")
    kind = ChoiceFilter(Signal, "only alarms on this signal")
    model = UUIDFilter("model_version", "only alarms on this model version")
    created_after, created_before = after("created_at"), before("created_at")


class RunFilter(df.FilterSet):
    status = ChoiceFilter(RunStatus.values, "only runs with this status")
    snapshot = UUIDFilter("snapshot", "only runs on this snapshot")


class SnapshotFilter(df.FilterSet):
    slot = slot()


class ComparisonFilter(df.FilterSet):
    candidate = UUIDFilter("candidate", "only comparisons of this candidate")
    status = ChoiceFilter(JobStatus.values, "only comparisons with this status")


class DeliveryFilter(df.FilterSet):
    status = ChoiceFilter(DeliveryStatus.values, "only deliveries with this status")
    subject = UUIDFilter("subject", "only messages about this record, such as a scan")


class LabelFilter(df.FilterSet):
    scan = UUIDFilter("scan", "only labels of this scan")
    queue = UUIDFilter("queue", "only labels given in this queue")
    reader = UUIDFilter("reader", "only labels that this user gave or imported")
    source = ChoiceFilter(LabelSource.values, "only labels from this source")
    current = BooleanFilter(
        "superseded_by", "`true`: only labels that are not superseded", lookup_expr="isnull"
    )
    given_after, given_before = after("created_at"), before("created_at")


class QueueFilter(df.FilterSet):
    open = BooleanFilter(
        "closed_at", "`true`: only open queues; `false`: only closed ones", lookup_expr="isnull"
    )


class AuditFilter(df.FilterSet):
    action = exact(64, "only events of this kind, such as `scan.moved`")
    subject = exact(120, "only events on this record, as app.model:uuid")
    actor = UUIDFilter("actor", "only events by this user: an event's `actor_id`")
    patient = UUIDFilter("patient", "only events about this patient")
    created_after, created_before = after("created_at"), before("created_at")
