"""How a manifest was read, and its first rows, for a person to check before anything is imported."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from classifier.data.tables.manifest import ManifestTable, Reading
from classifier.data.tables.table import shown
from classifier.text_encoding import LABELS

ROWS, PROBLEMS = 5, 20
DATE_ORDERS = (("dmy", _("day first: 5 March")), ("mdy", _("month first: 3 May")))
# One entry for each encoding that a person can mean; the mark decides between the forms of Unicode.
ENCODINGS = sorted(
    ((name, label) for name, label in LABELS.items() if name not in ("utf-8-sig", "utf-16-le", "utf-16-be")),
    key=lambda one: one[1],
)
SEPARATORS = {",": _("comma"), ";": _("semicolon"), "\t": _("tab"), "|": _("vertical bar")}


def reading_of(request: HttpRequest) -> Reading:
    """What the person states of the file: POST `date_order`, `encoding`."""
    return Reading(
        dates=request.POST.get("date_order", ""),
        encoding=request.POST.get("encoding", ""),
    )


def preview_of(manifest: ManifestTable) -> dict[str, Any]:
    """The context of `core/_manifest_preview.html`."""
    table = manifest.table
    return {
        "preview": {
            "name": table.name,
            "total": len(table.records),
            "encoding": LABELS[table.encoding],
            "encoding_guessed": table.encoding_guessed,
            "separator": SEPARATORS.get(table.separator, table.separator),
            "date_order": dict(DATE_ORDERS).get(str(manifest.date_order)) if manifest.date_order else "",
            "dates_unclear": manifest.dates_unclear,
            "columns": table.columns,
            "rows": [
                (record.line, [shown(record[column]) for column in table.columns if column])
                for record in table.records[:ROWS]
            ],
            "dates": any(line.date for line in manifest.lines),
            "first_dates": [(line.number, line.date) for line in manifest.lines[:ROWS]],
            "problems": manifest.problems[:PROBLEMS],
            "problem_count": len({problem.line for problem in manifest.problems}),
        }
    }
