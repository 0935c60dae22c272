"""What the API says of maps by other explainers, and takes to have one made."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from classifier.contract import DISCLAIMER, RELATIVE
from webapp.analysis.models import Explanation
from webapp.api.serializers.scans import CamSerializer

STATES = ["queued", "running", "failed", "done"]


class ExplanationRequestSerializer(serializers.Serializer):
    method = serializers.ChoiceField(choices=list(RELATIVE))


class ExplanationSerializer(serializers.Serializer):
    """Maps of all findings by one method. `relative`: each only knows its own maximum, which is 1 here."""

    analysis = serializers.UUIDField()
    method = serializers.ChoiceField(choices=list(RELATIVE))
    status = serializers.ChoiceField(choices=STATES)
    reason = serializers.CharField(allow_null=True, help_text="why it failed")
    relative = serializers.BooleanField()
    withheld = serializers.BooleanField(help_text="whether the model gave no answer on the image")
    cam = CamSerializer(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)
    created_at = serializers.DateTimeField()
    disclaimer = serializers.CharField()


def explanation_answer(explanation: Explanation, *, maps: bool = True) -> dict[str, Any]:
    """An explanation as the API tells it; without `maps`, `cam` is null."""
    answer = {
        "analysis": explanation.analysis_id,
        "method": explanation.method,
        "status": explanation.status,
        "reason": explanation.error_code or None,
        "relative": True,
        "withheld": explanation.analysis.withheld,
        "cam": explanation.cam if maps else None,
        "seconds": explanation.seconds,
        "created_at": explanation.created_at,
        "disclaimer": DISCLAIMER,
    }
    return ExplanationSerializer(answer).data
