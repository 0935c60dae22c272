"""Sent by writes to readings, in their transaction."""

from __future__ import annotations

from django.dispatch import Signal

# `reading`: with its scans.
reading_signed = Signal()
