"""What queues deliveries: a finished analysis, a signed reading, a scan filed to another patient or study."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.dispatch import receiver

from webapp.analysis.models import Analysis
from webapp.analysis.signals import analysis_finished
from webapp.labels.models import Reading
from webapp.labels.signals import reading_signed
from webapp.results.deliveries import queue_analysis, queue_corrections, queue_reading
from webapp.scans.signals import filing_changed


@receiver(analysis_finished)
def _analysis(analysis: Analysis, **kwargs: Any) -> None:
    queue_analysis(analysis)


@receiver(reading_signed)
def _reading(reading: Reading, **kwargs: Any) -> None:
    queue_reading(reading)


@receiver(filing_changed)
def _filing(studies: Iterable[uuid.UUID], **kwargs: Any) -> None:
    queue_corrections(studies)
