"""A comparison as the model's page tells it: paired numbers, subgroups, and the scans that change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from webapp.accounts.models import User
from webapp.accounts.services import for_sites
from webapp.pages.display import name_of_finding
from webapp.registry.models import Comparison
from webapp.registry.promotion_gate import GROUPS, scan_in
from webapp.scans.models import Scan

OVERALL = {
    "macro_auc": gettext_lazy("Macro AUC"),
    "reported_right": gettext_lazy("Reported finding right"),
    "brier": gettext_lazy("Brier score"),
    "calibration_error": gettext_lazy("Calibration error (ECE)"),
}
OF_FINDING = {
    "auc": gettext_lazy("AUC"),
    "sensitivity": gettext_lazy("sensitivity"),
    "specificity": gettext_lazy("specificity"),
}
SHOWN_CHANGES = 100


class Line(NamedTuple):
    """A measure of both models and their difference, as text with intervals."""

    label: str
    candidate: str
    active: str
    difference: str
    finding: str = ""


class Change(NamedTuple):
    """A scan whose answer changes; `scan` is None where the reader may not see it."""

    scan: Scan | None
    truth: str
    before: str
    after: str


def lines(report: Mapping[str, Any], part: str = "all") -> list[Line]:
    """Overall measures, then each finding's; `part` is `all` or `answered`."""
    found = report[part]
    told = [_line(str(label), found["overall"][name]) for name, label in OVERALL.items()]
    for finding, values in found["findings"].items():
        for name, word in OF_FINDING.items():
            told.append(_line(f"{name_of_finding(finding)}: {word}", values[name])._replace(finding=finding))
    return told


def group_lines(report: Mapping[str, Any]) -> list[Line]:
    """Each finding's AUC by source, view, sex and age band, where there are enough cases."""
    return list(_group_lines(report))


def _group_lines(report: Mapping[str, Any]) -> Iterator[Line]:
    for by, groups in report["groups"].items():
        for group, values in groups.items():
            for finding, within in values["findings"].items():
                if within.get("auc"):
                    label = f"{GROUPS[by].capitalize()} {group}: {name_of_finding(finding)} AUC"
                    yield _line(label, within["auc"])._replace(finding=finding)


def shortcut_lines(report: Mapping[str, Any]) -> list[Line]:
    """The macro AUC on the whole image, with the lungs hidden, and on the lungs alone."""
    tested = report.get("shortcuts") or {}
    views = {
        "whole": _("Whole image: macro AUC"),
        "lungs_hidden": _("Lungs hidden: macro AUC"),
        "lungs_only": _("Lungs only: macro AUC"),
    }
    sides = {side: values for side, values in tested.items() if values and "whole" in values}
    if "candidate" not in sides:
        return []
    return [
        Line(
            label,
            interval(sides["candidate"][view]["auc"]["macro_auc"]),
            interval(sides["active"][view]["auc"]["macro_auc"]) if "active" in sides else "–",
            "–",
        )
        for view, label in views.items()
    ]


def changes_of(comparison: Comparison, user: User) -> list[Change]:
    """The first scans whose reported finding, or withholding, changes; linked as far as the user may see."""
    shown = comparison.changes[:SHOWN_CHANGES]
    keys = {scan_in(one["image"]) for one in shown} - {None}
    visible = for_sites(Scan.objects.filter(pk__in=keys), user, "scan.view")
    scans = {scan.pk: scan for scan in visible}
    return [_change(one, scans) for one in shown]


def _change(said: Mapping[str, Any], scans: Mapping[UUID, Scan]) -> Change:
    truth = ", ".join(map(name_of_finding, said["truth"])) or _("unknown")
    before, after = (_answer(said[side]) for side in ("from", "to"))
    return Change(scans.get(scan_in(said["image"])), truth, before, after)


def _answer(said: Mapping[str, Any]) -> str:
    finding = name_of_finding(said["finding"]) if said["finding"] else _("none above its threshold")
    probability = f" {said['p']:.2f}" if said["p"] is not None else ""
    answer = f"{finding}{probability}"
    return _("%(answer)s (withheld)") % {"answer": answer} if said["withheld"] else answer


def _line(label: str, values: Mapping[str, Any]) -> Line:
    return Line(
        label, interval(values["candidate"]), interval(values["active"]), interval(values["difference"], True)
    )


def interval(value: Mapping[str, float | None] | None, signed: bool = False) -> str:
    """`0.82 (0.78 to 0.86)`, with a sign where it is a difference; `–` where there is none."""
    if value is None or value["value"] is None:
        return "–"
    said = [_number(value[part], signed) for part in ("value", "low", "high")]
    return said[0] if value["low"] is None else f"{said[0]} ({said[1]} to {said[2]})"


def _number(value: float | None, signed: bool) -> str:
    if value is None:
        return "–"
    text = f"{value:+.2f}" if signed else f"{value:.2f}"
    return text.replace("-", "−") if text.strip("+-0.") else "0.00"
