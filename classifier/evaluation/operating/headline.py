"""The headline table of a model card: home, within one origin, unseen origin. Standard library only.

A row on one origin has `origin`, `finding` (or ANY), `images`, `patients`, `present`, `normals` and MEASURES,
each `{"value", "low", "high"}` or None for too few images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MEASURES = ("auc", "false_alarms", "sensitivity")
ANY = "any_finding"  # in place of a finding: any other than normal
SETTINGS = ("home", "within_one_origin", "unseen_origin")
REQUIRED = {"origin": str, "finding": str, "images": int}
COUNTS = ("patients", "present", "normals")


def headline(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Three rows for each finding: `{"setting", "finding", "images", "origins", **MEASURES}`.

    `home`: held-out patients of all origins of the training data together. `within_one_origin`: each measure
    at the worst of these origins. `unseen_origin`: at the worst of those in the card's `about.elsewhere`.
    The measures of the last two name their `origin`; one that is not known is None.
    """
    found, about = card.get("evaluation") or {}, card.get("about") or {}
    rows = {"home": found.get("home"), "within_one_origin": found.get("origins")}
    rows["unseen_origin"] = about.get("elsewhere")
    across_origins = {setting: across(rows[setting] or []) for setting in SETTINGS}
    nothing = {"images": 0, "origins": 0, **dict.fromkeys(MEASURES)}
    return [
        {
            "setting": setting,
            "finding": row["finding"],
            **across_origins[setting].get(row["finding"], nothing),
        }
        for row in rows["home"] or []
        for setting in SETTINGS
    ]


def across(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """By finding: each measure at the origin where it is worst, with the `mean` over the origins."""
    by_finding: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_finding.setdefault(row["finding"], []).append(row)
    return {
        finding: {
            "images": sum(row["images"] for row in of_finding),
            "origins": len(of_finding),
            **{measure: _worst(of_finding, measure) for measure in MEASURES},
        }
        for finding, of_finding in by_finding.items()
    }


def _worst(rows: Sequence[Mapping[str, Any]], measure: str) -> dict[str, Any] | None:
    known = [row for row in rows if row.get(measure) and row[measure]["value"] is not None]
    if not known:
        return None
    worst = (max if measure == "false_alarms" else min)(known, key=lambda row: row[measure]["value"])
    mean = sum(row[measure]["value"] for row in known) / len(known)
    return {**worst[measure], "origin": worst["origin"], "mean": mean, "of": len(known)}


def check_rows(rows: Any) -> None:
    """Raises ValueError unless the rows are as the module describes; MEASURES and counts may be missing."""
    for row in rows:
        if not isinstance(row, dict) or not all(isinstance(row.get(k), kind) for k, kind in REQUIRED.items()):
            raise ValueError(f"elsewhere: {row!r} needs origin, finding and images")
        unknown = set(row) - {*REQUIRED, *COUNTS, *MEASURES, "note"}
        if unknown:
            raise ValueError(f"elsewhere: {row['origin']} has unknown entries {sorted(unknown)}")
        for measure in MEASURES:
            _check_measure(row.get(measure), f"{measure} at {row['origin']}")


def _check_measure(measure: Any, name: str) -> None:
    if measure is None:
        return
    numbers = [measure.get(k) for k in ("value", "low", "high")] if isinstance(measure, dict) else ["none"]
    if not all(
        number is None or (isinstance(number, float | int) and 0 <= number <= 1) for number in numbers
    ):
        raise ValueError(f"elsewhere: {name} needs value, low and high from 0 to 1")
