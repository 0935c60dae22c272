"""What lists may be narrowed by: states, kinds, moments, our own ids; never a name or an identifier.

Those would stand in addresses, hence in logs: they are searched for by POST.
"""

from __future__ import annotations

import uuid
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
from webapp.analysis.models import AnalysisStatus, StudyStatus
from webapp.api.fields import ANYTHING, MOMENT
from webapp.core.errors import CodedError
from webapp.labels.models import LabelSource
from webapp.monitoring.kinds import Kind as Watched
from webapp.monitoring.models import AlarmStatus
from webapp.registry.models import ComparisonStatus, ModelStatus
from webapp.scans.models import UploadStatus
from webapp.training.models import RunStatus
from webapp.webhooks.models import DeliveryStatus

SLOTS = [(slot.value, slot.value) for slot in Slot]


class Filters(DjangoFilterBackend):
    """django-filter's, whose complaints leave as our problem details."""

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        filterset = self.get_filterset(request, queryset, view)
        if filterset is None:
            return queryset
        if not filterset.is_valid():
            raise CodedError("invalid", fields={k: list(map(str, v)) for k, v in filterset.errors.items()})
        return filterset.qs


class MomentField(forms.Field):
    """RFC 3339 with an offset: a moment without one would be anybody's guess."""

    def to_python(self, value: str | None) -> datetime | None:
        if not value:
            return None
        try:
            if not MOMENT.fullmatch(value):
                raise ValueError
            return datetime.fromisoformat(value.upper())
        except ValueError as error:
            raise ValidationError("Write it like 2026-11-20T08:00:00Z.") from error


class Moment(df.IsoDateTimeFilter):
    field_class = MomentField


class WholeUUIDField(forms.Field):
    def to_python(self, value: str | None) -> uuid.UUID | None:
        if not value:
            return None
        try:
            if len(value) != 36:
                raise ValueError
            return uuid.UUID(value)
        except ValueError as error:
            raise ValidationError("This is no UUID.") from error


class Key(df.UUIDFilter):
    field_class = WholeUUIDField


class FlagField(forms.Field):
    def to_python(self, value: str | None) -> bool | None:
        if value in (None, ""):
            return None
        if value not in ("true", "false"):
            raise ValidationError("Write true or false.")
        return value == "true"


class Flag(df.BooleanFilter):
    field_class = FlagField


def since(column: str) -> Moment:
    return Moment(field_name=column, lookup_expr="gte", help_text="this moment or later")


def exactly(most: int, said: str = "") -> df.CharFilter:
    described = extend_schema_field(
        {"type": "string", "minLength": 1, "maxLength": most, "pattern": ANYTHING}
    )
    return described(df.CharFilter(max_length=most, help_text=said))


def before(column: str) -> Moment:
    return Moment(field_name=column, lookup_expr="lt", help_text="before this moment")


class Created(df.FilterSet):
    created_after = since("created_at")
    created_before = before("created_at")


class UploadFilter(df.FilterSet):
    status = df.ChoiceFilter(choices=UploadStatus.choices)
    archive = Key(field_name="parent", help_text="images that came first in this archive")
    received_after = since("created_at")
    received_before = before("created_at")


class ScanFilter(df.FilterSet):
    modality = df.ChoiceFilter(field_name="slot", choices=SLOTS)
    synthetic = Flag()
    patient = Key(field_name="series__study__patient")
    study = Key(field_name="series__study")
    received_after = since("received_at")
    received_before = before("received_at")


class AnalysisFilter(Created):
    status = df.ChoiceFilter(choices=AnalysisStatus.choices)
    scan = Key()
    model = Key(field_name="model_version")
    finding = exactly(64)
    withheld = Flag()


class StudyFilter(df.FilterSet):
    status = df.ChoiceFilter(choices=StudyStatus.choices)
    finding = exactly(64)
    patient = Key(field_name="study__patient")
    latest_after = since("latest_at")
    latest_before = before("latest_at")


class PatientFilter(Created):
    provisional = Flag()


class ModelFilter(df.FilterSet):
    slot = df.ChoiceFilter(choices=SLOTS)
    status = df.ChoiceFilter(choices=ModelStatus.choices)


class PromotionFilter(df.FilterSet):
    model = Key(field_name="model_version")
    slot = df.ChoiceFilter(field_name="model_version__slot", choices=SLOTS)


class AlarmFilter(df.FilterSet):
    status = df.ChoiceFilter(choices=AlarmStatus.choices)
    kind = df.ChoiceFilter(choices=[(kind.value, kind.value) for kind in Watched])
    model = Key(field_name="model_version")
    created_after = since("created_at")
    created_before = before("created_at")


class RunFilter(df.FilterSet):
    status = df.ChoiceFilter(choices=RunStatus.choices)
    snapshot = Key()


class SnapshotFilter(df.FilterSet):
    slot = df.ChoiceFilter(choices=SLOTS)


class ComparisonFilter(df.FilterSet):
    candidate = Key()
    status = df.ChoiceFilter(choices=ComparisonStatus.choices)


class DeliveryFilter(df.FilterSet):
    status = df.ChoiceFilter(choices=DeliveryStatus.choices)
    subject = Key()


class LabelFilter(df.FilterSet):
    scan = Key()
    queue = Key()
    reader = Key()
    source = df.ChoiceFilter(choices=LabelSource.choices)
    current = Flag(field_name="superseded_by", lookup_expr="isnull", help_text="no later one supersedes it")
    given_after = since("created_at")
    given_before = before("created_at")


class QueueFilter(df.FilterSet):
    open = Flag(field_name="closed_at", lookup_expr="isnull")


class AuditFilter(Created):
    action = exactly(64)
    subject = exactly(120, "app.model:uuid")
    actor = Key(help_text="`actor_id` of an event")
