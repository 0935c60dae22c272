"""Explanations: made by the worker that infers, when no analysis waits; a slow one lets analyses pass."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from classifier.contract import leading_finding
from webapp.analysis.models import Explanation
from webapp.core.jobs.table import JobStatus
from worker.jobs.infer import (
    IMAGE_MISSING,
    MODEL_UNAVAILABLE,
    ImageMissing,
    InferJob,
    ModelUnavailable,
    input_of,
)
from worker.runner import Heartbeat, Unavailable
from worker.support.safe_errors import describe

logger = logging.getLogger(__name__)

TOO_SLOW, MISSING = "explainer_too_slow", "explainer_missing"
SOFT_SECONDS = 240.0
LIMIT_SECONDS = 1.5 * SOFT_SECONDS


class TooSlow(Exception):
    """An explanation has had its time."""


class InferAndExplainJob(InferJob):
    def step(self) -> bool:
        return self._analyse() or self._explain_one() or self._shadow()

    def _explain_one(self) -> bool:
        for explanation in Explanation.objects.claim():
            with Heartbeat(explanation, limit=LIMIT_SECONDS):
                try:
                    code = self._explain(explanation)
                except Unavailable:
                    explanation.release()
                    raise
            if code:
                explanation.fail(code)
            return True
        return False

    def _explain(self, explanation: Explanation) -> str:
        """Compute and store the maps; returns an error code, or an empty string."""
        from classifier.inference.explain import ExplainerMissing, relative_cam
        from classifier.inference.predictor import Failure

        analysis, began = explanation.analysis, time.monotonic()
        codes = {
            ModelUnavailable: MODEL_UNAVAILABLE,
            ImageMissing: IMAGE_MISSING,
            ExplainerMissing: MISSING,
            TooSlow: TOO_SLOW,
        }
        try:
            predictor, item = self._models.predictor(analysis.model_version), input_of(analysis.scan)
            shown = leading_finding(analysis.finding, analysis.probabilities)
            cam = relative_cam(predictor, item, explanation.method, shown, between=self._breather(began))
        except tuple(codes) as error:
            logger.error("no explanation: %s", describe(error))
            return codes[type(error)]
        if isinstance(cam, Failure):
            return cam.code
        seconds = time.monotonic() - began
        explanation.finish(JobStatus.DONE, cam=cam.as_dict(), seconds=seconds)
        return ""

    def _breather(self, began: float) -> Callable[[], None]:
        def between() -> None:
            if time.monotonic() - began > SOFT_SECONDS:
                raise TooSlow
            self._analyse()

        return between
