"""Fields that take a value of their own type only: a number is no text, the word "yes" is no truth value."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
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


class Key(serializers.UUIDField):
    def to_internal_value(self, data: Any) -> Any:
        if not (isinstance(data, str) and len(data) == 36):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class Whole(serializers.IntegerField):
    def to_internal_value(self, data: Any) -> int:
        # JSON knows one kind of number: 200.0 is a whole one (JSON Schema, 6.1.1).
        whole = isinstance(data, int) or (isinstance(data, float) and data.is_integer())
        if not whole or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)
