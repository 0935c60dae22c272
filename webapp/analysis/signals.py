"""Sent by writes to analyses, in their transaction."""

from __future__ import annotations

from django.dispatch import Signal

# `analysis`: it has a result, reported or withheld, and its heatmap.
analysis_finished = Signal()
