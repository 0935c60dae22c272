"""The measurements of a model card as Markdown; each function takes its JSON, which may lack parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from classifier.contract import finding_name

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


def measure_name(measure: str) -> str:
    return NAMES.get(measure, measure.replace("_", " "))


def pair_name(pair: str) -> str:
    """A pair of findings, `covid19 against pneumonia`, by their display names."""
    return " vs. ".join(finding_name(finding) for finding in pair.split(" against "))


def warnings(found: Sequence[Mapping[str, Any]] | None) -> Lines:
    """The warnings of the data validation before training."""
    if not found:
        return []
    return ["## Data validation warnings", "", *(f"- {w['severity']}: {w['text']}" for w in found), ""]


def calibration(fitted: Mapping[str, Any] | None) -> Lines:
    if not fitted:
        return []
    bias = ", ".join(f"{finding_name(name)} {value:+.3f}" for name, value in fitted.get("bias", {}).items())
    lines = [
        "## Calibration and thresholds",
        "",
        f"Fitted on {fitted['cases']} validation images, with the stored weights: temperature "
        f"{fitted['temperature']:.3f}{f', biases {bias}' * bool(bias)}. Heatmaps reach full strength at "
        f"{fitted['cam_scale']:.3f} logits. Thresholds maximise sensitivity + specificity (Youden's index):",
        "",
    ]
    rows = [
        (finding_name(name), f"{v['threshold']:.3f}", f"{v['sensitivity']:.3f}", f"{v['specificity']:.3f}")
        for name, v in fitted["thresholds"].items()
    ]
    return lines + grid(("finding", "threshold", "sensitivity", "specificity"), rows)


def evaluation(found: Mapping[str, Any]) -> Lines:
    """Overall, by finding, at given prevalences, confusion, and with abstention."""
    if not found:
        return []
    lines = [
        "## Evaluation on the test part",
        "",
        f"{found['cases']} images of {found['patients']} patients, none of them in another part. "
        "In brackets: 95 % confidence interval, bootstrap by patient.",
        "",
    ]
    rows = [(measure_name(name), as_text(value)) for name, value in found["overall"].items()]
    rows.append(("reported finding is right", f"{found['reported']['right']:.3f}"))
    rows.append(("no finding reported", f"{found['reported']['none']:.3f}"))
    lines += grid(("measure", "value"), rows)
    lines += [
        "Each finding against the rest, at its threshold:",
        "",
        *_by_finding(found["findings"], MEASURES),
    ]
    lines += _calibrated(found["findings"]) + _at_prevalence(found["findings"])
    return lines + _confusion(found.get("confusion")) + _without_withheld(found)


def _by_finding(findings: Mapping[str, Any], measures: Sequence[str]) -> Lines:
    present = [m for m in measures if all(m in values for values in findings.values())]
    rows = [
        (finding_name(name), str(values["present"]), *(as_text(values[m]) for m in present))
        for name, values in findings.items()
    ]
    return grid(("finding", "cases", *map(measure_name, present)), rows)


def _calibrated(findings: Mapping[str, Any]) -> Lines:
    if not all("calibration_slope" in values for values in findings.values()):
        return []
    text = "Calibration by finding (ten bins; slope 1 and intercept 0 are perfect):"
    return [text, "", *_by_finding(findings, CALIBRATION)]


def _at_prevalence(findings: Mapping[str, Any]) -> Lines:
    rows = [
        (
            finding_name(name),
            f"{v['prevalence']:.3g}",
            as_text(v["ppv_at_prevalence"]),
            as_text(v["npv_at_prevalence"]),
        )
        for name, v in findings.items()
        if "prevalence" in v
    ]
    if not rows:
        return []
    text = "Predictive values at other prevalences:"
    return [text, "", *grid(("finding", "prevalence", "PPV", "NPV"), rows)]


def _confusion(confusion: Mapping[str, Any] | None) -> Lines:
    if not confusion:
        return []
    names = [finding_name(name) for name in confusion["findings"]]
    rows = [(name, *map(str, line)) for name, line in zip(names, confusion["counts"], strict=True)]
    return ["True finding (rows) and most probable finding (columns):", "", *grid(("", *names), rows)]


def _without_withheld(found: Mapping[str, Any]) -> Lines:
    accepted = found.get("not_withheld")
    if not accepted or "overall" not in accepted:
        return []
    reasons = ", ".join(f"{reason.replace('_', ' ')} {n}" for reason, n in accepted["reasons"].items())
    lines = [
        f"Coverage {accepted['coverage']:.1%} (withheld: {reasons}; no result: {accepted['no_result']}). "
        f"Without the withheld results, {accepted['cases']} images:",
        "",
    ]
    rows = [(measure_name(name), as_text(value)) for name, value in accepted["overall"].items()]
    return lines + grid(("measure", "value"), rows)


def subgroups(found: Mapping[str, Any]) -> Lines:
    """By source, with the rankings within each, and by view, sex and age."""
    lines = _groups("source", found.get("sources") or {})
    ranked = [
        (name, pair_name(pair), str(m["cases"]), as_text(m["auc"]))
        for name, values in (found.get("sources") or {}).items()
        for pair, m in values["pairs"].items()
    ]
    if ranked:
        text = "Pairs of findings within one source, where recognising the source does not help:"
        lines += [text, "", *grid(("source", "findings", "images", "AUC"), ranked)]
    for by, groups in (found.get("groups") or {}).items():
        lines += _groups(by, groups)
    return lines


def _groups(by: str, groups: Mapping[str, Any]) -> Lines:
    if not groups:
        return []
    rows = [(name, str(v["cases"]), str(v["patients"]), _accuracy(v)) for name, v in groups.items()]
    lines = [f"### By {by}", "", *grid((by, "images", "patients", "accuracy"), rows)]
    rows = [
        (
            name,
            finding_name(finding),
            str(v["present"]),
            *(as_text(v[m]) for m in ("auc", "sensitivity", "specificity")),
        )
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
        f"AUC on {tested['cases']} test images. With the lungs hidden, it should be near chance (0.5); "
        "anything above comes from outside the lungs.",
        "",
    ]
    for part, title in (("auc", "finding"), ("within_source", "within one source")):
        names = [name for name in tested["whole"][part] if all(name in tested[v][part] for v in views)]
        rows = [(_shortcut_row(name), *(as_text(tested[v][part][name]) for v in views)) for name in names]
        lines += grid((title, *views.values()), rows) if rows else []
    share = tested["lungs_share_of_image"]
    inside = [f"{finding_name(name)} {as_text(value)}" for name, value in tested["maps_inside_lungs"].items()]
    if inside:
        text = f"Share of the heatmap inside the lungs, which cover {share:.2f} of the image: "
        lines += [f"{text}{'; '.join(inside)}.", ""]
    rows = [
        (
            finding_name(name),
            ", ".join(v["sources"]),
            str(v["cases"]),
            as_text(v["balanced_accuracy"]),
            f"{v['chance']:.2f}",
        )
        for name, v in tested["source_probe"].items()
    ]
    if rows:
        text = "Source predicted from the features by a linear probe, within one finding:"
        lines += [text, "", *grid(("finding", "sources", "images", "balanced accuracy", "chance"), rows)]
    return lines


def _shortcut_row(name: str) -> str:
    """`macro_auc`, a finding, or `source: pair`."""
    if name in NAMES:
        return NAMES[name]
    source, _, pair = name.rpartition(": ")
    return f"{source}: {pair_name(pair)}" if source else finding_name(name)


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
        "## Heatmap faithfulness",
        "",
        f"ROAD (Rong et al. 2022), combined, on {road['images']} test images, in units of the probability of "
        "the finding. An uninformative heatmap scores 0. `gradcam` is the default heatmap.",
        "",
        *grid(("heatmap", "score", "lead over a random map"), rows),
    ]


INPUT_CHECK_TABLES = {
    "held_out": "Input checks trained without the group, source or patients that they are measured on",
    "same_groups": "This input check, on held-out origins and patients of the groups that it was trained on",
    "made": "This input check, on altered copies of frontal test images",
}


def input_check(rates: Mapping[str, Any] | None) -> Lines:
    """The rejection rates of the input check by kind of image."""
    lines: Lines = []
    for name, title in INPUT_CHECK_TABLES.items():
        rows = [_input_check_row(line) for line in (rates or {}).get(name, ())]
        if rows:
            names = ("group", "images", "rejected", "rate (95 % interval)", "reasons")
            lines += [f"{title}:", "", *grid(names, rows)]
    if not lines:
        return []
    text = "Images rejected by the input check, which should accept all frontal images and reject all others."
    if "measured_steps" in rates:
        text += f" It was trained for {rates['steps']} steps, "
        text += f"the held-out input checks for {rates['measured_steps']}."
    return ["## Input check", "", text, "", *lines]


def _input_check_row(line: Mapping[str, Any]) -> tuple[str, ...]:
    why = ", ".join(f"{reason.replace('_', ' ')} {n}" for reason, n in line["reasons"].items())
    rate = f"{line['rate']:.3f} ({line['low']:.3f} to {line['high']:.3f})"
    return (line["group"], str(line["n"]), str(line["stopped"]), rate, why)


def segmenter(report: Mapping[str, Any] | None) -> Lines:
    """The Dice scores of the lung segmenter, and its results on images without lungs."""
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
    masks, patients = report["images"]["train"], report["patients"]["train"]
    return [
        "## Lung segmenter",
        "",
        f"Trained on {masks} manual masks of {patients} patients. Dice scores on masks of other patients:",
        "",
        *grid(("part", "lung", "images", "mean Dice (95 % interval)", "worst"), rows),
        f"Images without lungs with an empty result: {empty}.",
        "",
    ]
