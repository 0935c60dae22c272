"""A comparison as tables of the model's page: paired metrics, subgroups, shortcut test, changed scans."""

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
    "reported_right": gettext_lazy("Accuracy of the reported finding"),
    "brier": gettext_lazy("Brier score"),
    "calibration_error": gettext_lazy("Calibration error (ECE)"),
}
PER_FINDING = {
    "auc": gettext_lazy("AUC"),
    "sensitivity": gettext_lazy("sensitivity"),
    "specificity": gettext_lazy("specificity"),
}
SHORTCUT_VIEWS = {
    "whole": gettext_lazy("Whole image: macro AUC"),
    "lungs_hidden": gettext_lazy("Lungs masked: macro AUC"),
    "lungs_only": gettext_lazy("Lungs only: macro AUC"),
}
MAX_CHANGES = 100


class Row(NamedTuple):
    """A metric of both models and their difference, as text with intervals."""

    label: str
    candidate: str
    active: str
    difference: str


class Change(NamedTuple):
    """A scan whose result changes; `scan` is None where the user may not see it."""

    scan: Scan | None
    ground_truth: str
    before: str
    after: str


def tables_of(comparison: Comparison) -> dict[str, list[Row]]:
    """All tables of a finished comparison, by their name in the template."""
    report = comparison.report
    return {
        "all_rows": _metrics(report["all"]),
        "not_withheld_rows": _metrics(report["not_withheld"]),
        "subgroup_rows": list(_subgroups(report)),
        "shortcut_rows": _shortcuts(report.get("shortcuts") or {}),
    }


def _metrics(part: Mapping[str, Any]) -> list[Row]:
    """Overall metrics, then those of each finding."""
    rows = [_row(str(label), part["overall"][name]) for name, label in OVERALL.items()]
    for finding, values in part["findings"].items():
        rows += [
            _row(f"{name_of_finding(finding)}: {label}", values[name]) for name, label in PER_FINDING.items()
        ]
    return rows


def _subgroups(report: Mapping[str, Any]) -> Iterator[Row]:
    """Each finding's AUC by source, view, sex and age band, where there are enough cases."""
    for by, groups in report["groups"].items():
        for group, values in groups.items():
            for finding, within in values["findings"].items():
                if within.get("auc"):
                    label = f"{GROUPS[by].capitalize()} {group}: {name_of_finding(finding)} AUC"
                    yield _row(label, within["auc"])


def _shortcuts(tested: Mapping[str, Any]) -> list[Row]:
    """The macro AUC on the whole image, with the lungs masked, and on the lungs alone."""
    sides = {side: values for side, values in tested.items() if values and "whole" in values}
    if "candidate" not in sides:
        return []

    def cell(side: str, view: str) -> str:
        return interval(sides[side][view]["auc"]["macro_auc"]) if side in sides else "–"

    return [
        Row(str(label), cell("candidate", view), cell("active", view), "–")
        for view, label in SHORTCUT_VIEWS.items()
    ]


def changed_scans(comparison: Comparison, user: User) -> list[Change]:
    """The first scans whose result changes, with those scans that the user may see."""
    changes = comparison.changes[:MAX_CHANGES]
    keys = {scan_in(one["image"]) for one in changes} - {None}
    visible = for_sites(Scan.objects.filter(pk__in=keys), user, "scan.view")
    scans = {scan.pk: scan for scan in visible}
    return [_change(one, scans) for one in changes]


def _change(change: Mapping[str, Any], scans: Mapping[UUID, Scan]) -> Change:
    ground_truth = ", ".join(map(name_of_finding, change["ground_truth"])) or _("unknown")
    scan = scans.get(scan_in(change["image"]))
    return Change(scan, ground_truth, _result(change["from"]), _result(change["to"]))


def _result(prediction: Mapping[str, Any]) -> str:
    found = prediction["finding"]
    finding = name_of_finding(found) if found else _("none above its threshold")
    text = finding if prediction["p"] is None else f"{finding} {prediction['p']:.2f}"
    return _("%(result)s (withheld)") % {"result": text} if prediction["withheld"] else text


def _row(label: str, values: Mapping[str, Any]) -> Row:
    difference = interval(values["difference"], signed=True)
    return Row(label, interval(values["candidate"]), interval(values["active"]), difference)


def interval(value: Mapping[str, float | None] | None, signed: bool = False) -> str:
    """`0.82 (0.78 to 0.86)`, with a sign for a difference; `–` without a value."""
    if value is None or value["value"] is None:
        return "–"
    point, low, high = (_number(value[part], signed) for part in ("value", "low", "high"))
    return point if value["low"] is None else f"{point} ({low} to {high})"


def _number(value: float | None, signed: bool) -> str:
    if value is None:
        return "–"
    text = f"{value:+.2f}" if signed else f"{value:.2f}"
    return text.replace("-", "−") if text.strip("+-0.") else "0.00"
