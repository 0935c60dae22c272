"""What the viewer in the browser is told of a scan's image."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from webapp.scans.models import Scan
from webapp.scans.pixels import spacing_of

CT = "CT"


def image_of(scan: Scan) -> dict[str, Any]:
    """JSON values: the window is in display units, `spacing` in mm (row, column)."""
    spacing = spacing_of(scan)
    return {
        "id": str(scan.pk),
        "rows": scan.rows,
        "columns": scan.columns,
        "windowCenter": scan.window_center,
        "windowWidth": scan.window_width,
        "slope": scan.slope,
        "intercept": scan.intercept,
        "modality": scan.series.modality,
        "spacing": [spacing.row, spacing.column] if spacing else None,
        "spacingAt": spacing.at if spacing else None,
        "pixels": reverse("pages:media", args=[scan.pk, "pixels"]),
        "preview": reverse("pages:media", args=[scan.pk, "preview"]),
    }
