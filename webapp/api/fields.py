"""The fields of serializers: DRF's, and some that accept only their own JSON type: "yes" is no boolean."""

from __future__ import annotations

import re
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.serializers import (  # noqa: F401 - one name for all the fields of a serializer
    BooleanField,
    CharField,
    ChoiceField,
    DateField,
    DateTimeField,
    DictField,
    FileField,
    FloatField,
    IntegerField,
    ListField,
    ReadOnlyField,
    Serializer,
    SerializerMethodField,
    TimeField,
    ValidationError,
)

ANY_TEXT, NOT_BLANK = r"^[^\x00]*$", r"^[^\x00]*[^\s\x00][^\x00]*$"
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([zZ]|[+-]\d\d:?\d\d)")
DATE_TIME_HINT = "Use a date and time with an offset, such as 2026-11-20T08:00:00Z."
TIME_OF_DAY = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,6})?)?"


class StrictCharField(serializers.CharField):
    default_error_messages = {"not_a_string": "Must be a string."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("not_a_string")
        return super().to_internal_value(data)


class StrictBooleanField(serializers.BooleanField):
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class FormBooleanField(serializers.BooleanField):
    """A boolean in a multipart form, where every value is a string: an empty one is not "false"."""

    SPELLINGS = {"true": True, "True": True, "false": False, "False": False}

    def get_value(self, dictionary: Any) -> Any:
        return dictionary.get(self.field_name, serializers.empty)

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, str) or data not in self.SPELLINGS:
            self.fail("invalid", input=data)
        return self.SPELLINGS[data]


class StrictIntegerField(serializers.IntegerField):
    def to_internal_value(self, data: Any) -> int:
        # JSON has one kind of number: 200.0 is an integer (JSON Schema, 6.1.1).
        whole = isinstance(data, int) or (isinstance(data, float) and data.is_integer())
        if not whole or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictFloatField(serializers.FloatField):
    default_error_messages = {"not_a_number": "Must be a number."}

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("not_a_number")
        return super().to_internal_value(data)


class UUIDField(serializers.UUIDField):
    def to_internal_value(self, data: Any) -> Any:
        if not (isinstance(data, str) and len(data) == 36):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class StrictDateTimeField(serializers.DateTimeField):
    """RFC 3339 with an offset: without one the time zone would be a guess."""

    default_error_messages = {"invalid": DATE_TIME_HINT}

    def to_internal_value(self, data: Any) -> Any:
        if not (isinstance(data, str) and DATE_TIME.fullmatch(data)):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "pattern": f"^{TIME_OF_DAY}$"})
class TimeOfDayField(serializers.TimeField):
    """A time in the site's own zone; RFC 3339's has an offset, which would be dropped silently."""

    default_error_messages = {"invalid": "Use a time such as 02:00 or 02:00:00."}

    def to_internal_value(self, data: Any) -> Any:
        if not (isinstance(data, str) and re.fullmatch(TIME_OF_DAY, data)):
            self.fail("invalid")
        return super().to_internal_value(data)


class SupersededField(UUIDField):
    """The key of the record that a new one supersedes, so that no later one is overlooked."""

    def __init__(self, help_text: str) -> None:
        super().__init__(required=False, allow_null=True, default=None, help_text=help_text)


class ReasonField(StrictCharField):
    def __init__(self, help_text: str = "why; kept in the audit log", **options: Any) -> None:
        super().__init__(max_length=500, help_text=help_text, **options)


@extend_schema_field({"type": "string", "format": "binary", "minLength": 1})
class UploadedFileField(serializers.FileField):
    """An empty file is refused: here, or with a code of its own where scans are uploaded."""


# --- Fields of responses ------------------------------------------------------------------------------


class IdField(UUIDField):
    """The record's own key."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"help_text": "Hilum's UUID of the record"} | options)


class UUIDOrNullField(UUIDField):
    """The key of another record; null where there is none."""

    def __init__(self, source: str, help_text: str) -> None:
        super().__init__(source=source, allow_null=True, help_text=help_text)


class RecordKeyField(UUIDField):
    """The key of a record, for lists of records."""

    def to_representation(self, record: Any) -> str:
        return super().to_representation(record.pk)


class CreatedAtField(serializers.DateTimeField):
    def __init__(self, **options: Any) -> None:
        super().__init__(**{"help_text": "when the record was created"} | options)


class TextOrNullField(serializers.CharField):
    """A column that is empty where there is no value: null in the response."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def to_representation(self, value: Any) -> str | None:
        return super().to_representation(value) if value else None


# --- Their schemas ------------------------------------------------------------------------------------


class CharSchema(OpenApiSerializerFieldExtension):
    """States that strings are not blank and hold no null character, which databases cannot store."""

    target_class, match_subclasses = StrictCharField, True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        pattern = ANY_TEXT if self.target.allow_blank else NOT_BLANK
        for validator in self.target.validators:
            pattern = getattr(getattr(validator, "regex", None), "pattern", pattern)
        return {"type": "string", "pattern": pattern}


class UUIDSchema(OpenApiSerializerFieldExtension):
    """The format belongs to the string only, not to a null."""

    target_class, match_subclasses, format = UUIDField, True, "uuid"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        schema = {"type": "string", "format": self.format}
        return {"anyOf": [schema]} if self.target.allow_null else schema


class DateTimeSchema(UUIDSchema):
    target_class, format = serializers.DateTimeField, "date-time"
