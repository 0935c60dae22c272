"""Sent by writes to scans, in their transaction; `analysis` queues analyses and renews the worklist then."""

from __future__ import annotations

from django.dispatch import Signal

# `scans`: the new scans of an upload.
scans_created = Signal()
# `studies`: keys of those whose scans changed (some may be gone); `patients`: those whose names may have.
filing_changed = Signal()
