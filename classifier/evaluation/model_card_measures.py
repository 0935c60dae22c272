"""The measured parts of a model card as Markdown; each takes its JSON and leaves out what that lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Lines = list[str]
MEASURES = ("auc", "average_precision", "sensitivity", "specificity", "ppv", "npv", "f1")
CALIBRATION = ("brier", "calibration_error", "calibration_slope", "calibration_intercept")
NAMES = {
    "auc": "AUC",
    "macro_auc": "macro AUC",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
    "macro_f1": "macro F1",
    "brier": "Brier score",
    "calibration_error": "calibration error (ECE)",
}


def as_text(measure: Mapping[str, float | None] | None) -> str:
    """A measure with its interval, as `0.812 (0.779 to 0.845)`."""
    if measure is None:
        return "too few"
    if measure["value"] is None:
        return "not defined"
    if measure["low"] is None:
        return f"{measure['value']:.3f}"
    return f"{measure['value']:.3f} ({measure['low']:.3f} to {measure['high']:.3f})"


def grid(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Lines:
    lines = [names, ["---"] * len(names), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines] + [""]


def option(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def name_of(measure: str) -> str:
    return NAMES.get(measure, measure.replace("_", " "))


def warnings(found: Sequence[Mapping[str, Any]] | None) -> Lines:
    """What the data audit warned of before training."""
    if not found:
        return []
    return ["## What the data audit warned of", "", *(f"- {w['severity']}: {w['text']}" for w in found), ""]


def calibration(fitted: Mapping[str, Any] | None) -> Lines:
    if not fitted:
        return []
    moved = ", ".join(f"{name} {value:+.3f}" for name, value in fitted.get("bias", {}).items())
    lines = [
        "## Calibration and thresholds",
        "",
        f"Fitted on {fitted['cases']} validation images, on the weights as they are stored: temperature "
        f"{fitted['temperature']:.3f}{f', biases {moved}' * bool(moved)}; maps are at full strength from "
        f"{fitted['cam_scale']:.3f} logits. "
        "Thresholds maximise sensitivity + specificity there (Youden's index):",
        "",
    ]
    rows = [
        (name, f"{v['threshold']:.3f}", f"{v['sensitivity']:.3f}", f"{v['specificity']:.3f}")
        for name, v in fitted["thresholds"].items()
    ]
    return lines + grid(("finding", "threshold", "sensitivity", "specificity"), rows)


def evaluation(found: Mapping[str, Any]) -> Lines:
    """Overall, by finding, at given prevalences, confusion, and with abstention."""
    if not found:
        return []
    lines = [
        "## Evaluation on the held-out test part",
        "",
        f"{found['cases']} images of {found['patients']} patients who are in no other part. "
        "In brackets: 95 % interval, bootstrap by patient.",
        "",
    ]
    rows = [(name_of(name), as_text(value)) for name, value in found["overall"].items()]
    rows.append(("finding shown to the reader is right", f"{found['reported']['right']:.3f}"))
    rows.append(("no finding reaches its threshold", f"{found['reported']['none']:.3f}"))
    lines += grid(("measure", "value"), rows)
    lines += [
        "Each finding against the rest, at its threshold:",
        "",
        *_by_finding(found["findings"], MEASURES),
    ]
    lines += _calibrated(found["findings"]) + _at_prevalence(found["findings"])
    return lines + _confusion(found.get("confusion")) + _answered(found.get("answered"))


def _by_finding(findings: Mapping[str, Any], measures: Sequence[str]) -> Lines:
    present = [m for m in measures if all(m in values for values in findings.values())]
    rows = [
        (name, str(values["present"]), *(as_text(values[m]) for m in present))
        for name, values in findings.items()
    ]
    return grid(("finding", "cases", *map(name_of, present)), rows)


def _calibrated(findings: Mapping[str, Any]) -> Lines:
    if not all("calibration_slope" in values for values in findings.values()):
        return []
    told = "Calibration of each finding (a slope of 1 and an intercept of 0 are perfect; ten bins):"
    return [told, "", *_by_finding(findings, CALIBRATION)]


def _at_prevalence(findings: Mapping[str, Any]) -> Lines:
    rows = [
        (name, f"{v['prevalence']:.3g}", as_text(v["ppv_at_prevalence"]), as_text(v["npv_at_prevalence"]))
        for name, v in findings.items()
        if "prevalence" in v
    ]
    if not rows:
        return []
    told = "Where that share of patients has the finding:"
    return [told, "", *grid(("finding", "prevalence", "PPV", "NPV"), rows)]


def _confusion(confusion: Mapping[str, Any] | None) -> Lines:
    if not confusion:
        return []
    names = confusion["findings"]
    rows = [(name, *map(str, line)) for name, line in zip(names, confusion["counts"], strict=True)]
    return ["Truth (rows) and most probable finding (columns):", "", *grid(("", *names), rows)]


def _answered(answered: Mapping[str, Any] | None) -> Lines:
    if not answered or "overall" not in answered:
        return []
    reasons = ", ".join(f"{reason.replace('_', ' ')} {n}" for reason, n in answered["reasons"].items())
    lines = [
        f"The model answers {answered['coverage']:.1%} of the images (withheld: {reasons}; without any "
        f"answer: {answered['without_answer']}). On those {answered['cases']} alone:",
        "",
    ]
    return lines + grid(
        ("measure", "value"), [(name_of(k), as_text(v)) for k, v in answered["overall"].items()]
    )


def subgroups(found: Mapping[str, Any]) -> Lines:
    """By source, with the rankings within each, and by view, sex and age."""
    lines = _groups("source", found.get("sources") or {})
    ranked = [
        (name, pair, str(m["cases"]), as_text(m["auc"]))
        for name, values in (found.get("sources") or {}).items()
        for pair, m in values["pairs"].items()
    ]
    if ranked:
        told = (
            "Two findings of the same source ranked against each other, so that the source itself is no help:"
        )
        lines += [told, "", *grid(("source", "findings", "images", "AUC"), ranked)]
    for by, groups in (found.get("groups") or {}).items():
        lines += _groups(by, groups)
    return lines


def _groups(by: str, groups: Mapping[str, Any]) -> Lines:
    if not groups:
        return []
    rows = [(name, str(v["cases"]), str(v["patients"]), _accuracy(v)) for name, v in groups.items()]
    lines = [f"### By {by}", "", *grid((by, "images", "patients", "accuracy"), rows)]
    rows = [
        (name, finding, str(v["present"]), *(as_text(v[m]) for m in ("auc", "sensitivity", "specificity")))
        for name, values in groups.items()
        for finding, v in values.get("findings", {}).items()
        if v["present"]
    ]
    return lines + (grid((by, "finding", "cases", "AUC", "sensitivity", "specificity"), rows) if rows else [])


def _accuracy(group: Mapping[str, Any]) -> str:
    return "too few" if group.get("too_few") else as_text(group["accuracy"]) if "accuracy" in group else ""


def shortcuts(found: Mapping[str, Any]) -> Lines:
    """The shortcut test, and the maps' faithfulness."""
    return _shortcut_test(found.get("shortcuts")) + _road(found.get("road"))


def _shortcut_test(tested: Mapping[str, Any] | None) -> Lines:
    if not tested or "whole" not in tested:
        return []
    views = {"whole": "whole image", "lungs_hidden": "lungs hidden", "lungs_only": "lungs only"}
    lines = [
        "## Shortcut test",
        "",
        f"On {tested['cases']} test images. With the lungs hidden a model that reads lungs should rank no "
        "better than chance (0.5); what remains is what it takes from elsewhere.",
        "",
    ]
    for part, title in (("auc", "finding"), ("within_source", "within one source")):
        names = [name for name in tested["whole"][part] if all(name in tested[v][part] for v in views)]
        rows = [(name_of(name), *(as_text(tested[v][part][name]) for v in views)) for name in names]
        lines += grid((title, *views.values()), rows) if rows else []
    share = tested["lungs_share_of_image"]
    told = [f"{name} {as_text(value)}" for name, value in tested["maps_inside_lungs"].items()]
    if told:
        lines += [
            f"Share of a map that lies inside the lungs (they are {share:.2f} of the image): "
            f"{'; '.join(told)}.",
            "",
        ]
    rows = [
        (
            name,
            ", ".join(v["sources"]),
            str(v["cases"]),
            as_text(v["balanced_accuracy"]),
            f"{v['chance']:.2f}",
        )
        for name, v in tested["source_probe"].items()
    ]
    if rows:
        told = "How often a linear probe on the model's features names the source, within one finding:"
        lines += [told, "", *grid(("finding", "sources", "images", "balanced accuracy", "chance"), rows)]
    return lines


def _road(road: Mapping[str, Any] | None) -> Lines:
    if not road:
        return []
    rows = [
        (
            name,
            as_text(score),
            as_text(road["lead_over_random"][name]) if name in road["lead_over_random"] else "",
        )
        for name, score in road["score"].items()
    ]
    return [
        "## Faithfulness of the maps",
        "",
        f"ROAD (Rong et al. 2022), combined, on {road['images']} test images, in units of the finding's "
        "probability: 0 is a map that knows nothing. `gradcam` is the map that readers see.",
        "",
        *grid(("map", "score", "lead over a random map"), rows),
    ]


GATE_TABLES = {
    "held_out": "By gates that saw nothing of the group, the source or the patient that they are measured on",
    "same_groups": "By the gate that is carried, on unseen origins and patients of groups that it knows",
    "made": "By the gate that is carried, on views made out of frontal test images",
}


def gate(rates: Mapping[str, Any] | None) -> Lines:
    """How often the gate stops what it should and what it should not."""
    lines: Lines = []
    for name, how in GATE_TABLES.items():
        rows = [_gate_row(line) for line in (rates or {}).get(name, ())]
        if rows:
            names = ("group", "images", "stopped", "rate (95 % interval)", "reasons")
            lines += [f"{how}:", "", *grid(names, rows)]
    if not lines:
        return []
    told = "How many images the gate stops. It should stop none of the frontal ones, and all others."
    if "measured_steps" in rates:
        told += f" It had {rates['steps']} training steps, "
        told += f"each gate that was only measured {rates['measured_steps']}."
    return ["## The gate", "", told, "", *lines]


def _gate_row(line: Mapping[str, Any]) -> tuple[str, ...]:
    why = ", ".join(f"{reason.replace('_', ' ')} {n}" for reason, n in line["reasons"].items())
    rate = f"{line['rate']:.3f} ({line['low']:.3f} to {line['high']:.3f})"
    return (line["group"], str(line["n"]), str(line["stopped"]), rate, why)


def segmenter(report: Mapping[str, Any] | None) -> Lines:
    """How well the carried segmenter finds lungs, and where it should find none."""
    if not report:
        return []
    parts = {"val": "validation", "test": "test"}
    rows = [
        (
            parts[part],
            lung,
            str(d["n"]),
            f"{d['mean']:.3f} ({d['low']:.3f} to {d['high']:.3f})",
            f"{d['worst']:.3f}",
        )
        for part, lungs in report["dice"].items()
        for lung, d in lungs.items()
    ]
    empty = ", ".join(f"{name} {n['empty']} of {n['n']}" for name, n in report["empty"].items())
    learned = (
        f"Learned from {report['images']['train']} drawn masks of {report['patients']['train']} patients; "
    )
    return [
        "## The lung segmenter",
        "",
        f"{learned}Dice with the drawn masks of patients it has not seen:",
        "",
        *grid(("part", "lung", "images", "mean Dice (95 % interval)", "worst"), rows),
        f"Images without lungs in which it finds none: {empty}.",
        "",
    ]
