"""Fields that take a value of their own type only: a number is no text, the word "yes" is no truth value."""

from __future__ import annotations

import re
from typing import Any

from django.core.validators import RegexValidator
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers


class Text(serializers.CharField):
    default_error_messages = {"no_text": "A text is needed."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("no_text")
        return super().to_internal_value(data)


ANYTHING, SOMETHING = r"^[^\x00]*$", r"^[^\x00]*[^\s\x00][^\x00]*$"


class TextSchema(OpenApiSerializerFieldExtension):
    """The description says that texts hold more than spaces, and no null character: databases keep none."""

    target_class = Text

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        schema = auto_schema._map_serializer_field(self.target, direction, bypass_extensions=True)
        narrower = any(isinstance(one, RegexValidator) for one in self.target.validators)
        pattern = ANYTHING if self.target.allow_blank else SOMETHING
        return schema if narrower or "enum" in schema else {**schema, "pattern": pattern}


class Truth(serializers.BooleanField):
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class FormTruth(serializers.BooleanField):
    """A truth value in a multipart form, where everything is text: one that is empty is no "false"."""

    SPELT = {"true": True, "True": True, "false": False, "False": False}

    def get_value(self, dictionary: Any) -> Any:
        return dictionary.get(self.field_name, serializers.empty)

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, str) or data not in self.SPELT:
            self.fail("invalid", input=data)
        return self.SPELT[data]


class Key(serializers.UUIDField):
    def to_internal_value(self, data: Any) -> Any:
        if not (isinstance(data, str) and len(data) == 36):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([zZ]|[+-]\d\d:?\d\d)")


class Moment(serializers.DateTimeField):
    """RFC 3339 with an offset: a moment without one would be anybody's guess."""

    default_error_messages = {"invalid": "Write it like 2026-11-20T08:00:00Z."}

    def to_internal_value(self, data: Any) -> Any:
        if not (isinstance(data, str) and MOMENT.fullmatch(data)):
            self.fail("invalid")
        return super().to_internal_value(data)


class KeySchema(OpenApiSerializerFieldExtension):
    """The format goes with the text alone, not with the null beside it."""

    target_class, format = Key, "uuid"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        schema = {"type": "string", "format": self.format}
        return {"anyOf": [schema]} if self.target.allow_null else schema


class MomentSchema(KeySchema):
    target_class, format = Moment, "date-time"


TIME_OF_DAY = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,6})?)?"


@extend_schema_field({"type": "string", "pattern": f"^{TIME_OF_DAY}$"})
class TimeOfDay(serializers.TimeField):
    """A time in a place's own zone; RFC 3339's has an offset, which would be dropped in silence."""

    default_error_messages = {"invalid": "Write it like 02:00 or 02:00:00."}

    def to_internal_value(self, data: Any) -> Any:
        if not (isinstance(data, str) and re.fullmatch(TIME_OF_DAY, data)):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "format": "binary", "minLength": 1})
class Bytes(serializers.FileField):
    """An empty file is refused: here, or with a code of its own where scans are taken in."""


class Whole(serializers.IntegerField):
    def to_internal_value(self, data: Any) -> int:
        # JSON knows one kind of number: 200.0 is a whole one (JSON Schema, 6.1.1).
        whole = isinstance(data, int) or (isinstance(data, float) and data.is_integer())
        if not whole or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)
