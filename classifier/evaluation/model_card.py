"""Model cards (Mitchell 2019; CLAIM, Tejani 2024): JSON in the artifact; Markdown for people."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import ChainableUndefined, Environment, FileSystemLoader

from classifier.artifact.header import INPUT_CHECK
from classifier.contract import DISCLAIMER, ModelSpec, finding_name
from classifier.evaluation.operating.headline import check_rows, headline

if TYPE_CHECKING:
    from classifier.data.manifest import Row

PARTS = ("train", "val", "test")
ABOUT = {  # statements by the authors of a model (`--about`)
    "title": str,
    "summary": str,
    "intended_use": str,
    "not_for": list,
    "data": list,
    "shortcuts": list,
    "limits": list,
    "licence": str,
    "reproduce": str,
}
MORE = {  # the same, optional; `elsewhere`: rows of `headline` on origins left out of the training
    "reference_standard": list,
    "external_validity": list,
    "elsewhere": list,
}

SETTINGS = {
    "home": "home: held-out patients of all origins",
    "within_one_origin": "within one origin, the worst",
    "unseen_origin": "unseen origin, the worst",
}
MEASURE_NAMES = {
    "auc": "AUC",
    "macro_auc": "macro AUC",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
    "macro_f1": "macro F1",
    "brier": "Brier score",
    "calibration_error": "calibration error (ECE)",
}


def build(
    spec: ModelSpec,
    *,
    rows: Sequence[Row],
    training: Mapping[str, Any],
    calibration: Mapping[str, Any],
    found: Mapping[str, Any],
    about: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The card: statements of the authors (`about`), image counts, training, calibration and evaluation."""
    return {
        "about": {"title": spec.name, **(about or {})},
        "disclaimer": DISCLAIMER,
        "images": counts(rows),
        "training": dict(training),
        "calibration": dict(calibration),
        "evaluation": {name: value for name, value in found.items() if name != "curves"},
    }


def check_about(about: Any) -> dict[str, Any]:
    """The statements of an `--about` file. Raises ValueError for unknown names and wrong types."""
    if not isinstance(about, dict):
        raise ValueError("the statements must be a JSON object")
    for name, value in about.items():
        if not isinstance(value, (ABOUT | MORE).get(name, ())):
            raise ValueError(f"unknown statement {name!r}, or wrong type")
    check_rows(about.get("elsewhere", []))
    return about


def counts(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Images and patients of each source and finding, by part."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        unknown = "unknown, soft target" if row.soft else "unknown"
        groups[row.source, "|".join(row.findings or (unknown,))].append(row)
    return [
        {
            "source": source,
            "finding": finding,
            "patients": len({row.patient for row in chosen}),
            **{part: sum(row.split == part for row in chosen) for part in PARTS},
        }
        for (source, finding), chosen in sorted(groups.items(), key=lambda group: group[0])
    ]


def render(card: Mapping[str, Any], spec: ModelSpec, *, sha256: str | None = None) -> str:
    """The card as Markdown, without the parts that it lacks."""
    templates = Environment(  # noqa: S701 (Markdown, not HTML)
        loader=FileSystemLoader(Path(__file__).parent),
        extensions=["jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=ChainableUndefined,
    )
    templates.filters |= {
        "finding": finding_name,
        "measure": as_text,
        "measure_name": measure_name,
        "pair_name": pair_name,
        "ranking_name": _ranking_name,
        "option": _option,
        "option_name": lambda name: name.replace("_", " "),
        "short": lambda number: f"{number:.3g}",
        "counted": _counted,
        "worst": _worst,
        "floor": lambda item: f"{finding_name(item[0])} {item[1]:.3f}",
        "by_origin": _by_origin,
        "share": lambda value: f"{value:.3f}" if value or value == 0 else "-",
        "setting": SETTINGS.get,
        "extract": lambda key, values: values[key],
    }
    text = templates.get_template("model_card.md.jinja").render(
        card=card,
        spec=spec,
        sha256=sha256,
        about=card.get("about", {}),
        found=card.get("evaluation") or {},
        headline=headline(card),
        input_check=card.get(INPUT_CHECK) or {},
        disclaimer=DISCLAIMER,
        row=_row,
        rule=lambda columns: _row(*["---"] * columns),
        shown={},
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def as_text(measure: Mapping[str, float | None] | None) -> str:
    """A measure with its interval, as `0.812 (0.779 to 0.845)`."""
    if measure is None:
        return "too few"
    if measure["value"] is None:
        return "not defined"
    if measure["low"] is None:
        return f"{measure['value']:.3f}"
    return f"{measure['value']:.3f} ({measure['low']:.3f} to {measure['high']:.3f})"


def _worst(measure: Mapping[str, Any] | None) -> str:
    """A measure with its origin, as `0.812 (0.779 to 0.845), siim`; a dash if it is not known."""
    return ", ".join(filter(None, (as_text(measure), measure.get("origin")))) if measure else "-"


def _by_origin(origins: Mapping[str, Mapping[str, float]]) -> str:
    return ", ".join(f"{name} {v['false_alarms']:.3f} ({v['normals']})" for name, v in origins.items())


def measure_name(measure: str) -> str:
    return MEASURE_NAMES.get(measure, measure.replace("_", " "))


def pair_name(pair: str) -> str:
    """A pair of findings, `covid19 against pneumonia`, by their display names."""
    return " vs. ".join(finding_name(finding) for finding in pair.split(" against "))


def _ranking_name(name: str) -> str:
    """The name of `macro_auc`, a finding, or `source: pair`."""
    source, _, pair = name.rpartition(": ")
    if source:
        return f"{source}: {pair_name(pair)}"
    return MEASURE_NAMES.get(name) or finding_name(name)


def _option(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _counted(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason.replace('_', ' ')} {n}" for reason, n in reasons.items())


def _row(*cells: Any) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
