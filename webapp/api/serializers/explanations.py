"""Activation maps by other explanation methods."""

from __future__ import annotations

from classifier.contract import RELATIVE
from webapp.analysis.models import Explanation
from webapp.api import fields as f
from webapp.api.serializers.base import RequestSerializer
from webapp.api.serializers.scans import CamSerializer, DisclaimerField

STATES = ["queued", "running", "failed", "done"]


class ExplanationCreateSerializer(RequestSerializer):
    method = f.ChoiceField(list(RELATIVE), help_text="explanation method")


class ExplanationSerializer(f.Serializer):
    """Maps of all findings by one method, each relative to its own maximum, which is 1 here."""

    analysis = f.UUIDField(source="analysis_id", help_text="ID of the analysis that is explained")
    method = f.ChoiceField(list(RELATIVE), help_text="explanation method")
    status = f.ChoiceField(STATES, help_text="processing status")
    reason = f.TextOrNullField(source="error_code", help_text="code of the failure; null if none")
    relative = f.SerializerMethodField(help_text="always true: such maps show where, never how strongly")
    withheld = f.BooleanField(
        source="analysis.withheld", help_text="whether the model abstained on this image"
    )
    cam = CamSerializer(allow_null=True, help_text="the maps; null in lists and until they are done")
    seconds = f.FloatField(allow_null=True, help_text="computing time; null until done")
    created_at = f.CreatedAtField(help_text="when it was requested")
    disclaimer = DisclaimerField()

    def get_relative(self, explanation: Explanation) -> bool:
        return True
