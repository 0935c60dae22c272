"""Model cards (Mitchell 2019; CLAIM, Tejani 2024): JSON in the artifact; Markdown for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from classifier.artifact.header import INPUT_CHECK
from classifier.contract import DISCLAIMER, ModelSpec, finding_name
from classifier.evaluation.model_card_measures import (
    calibration,
    evaluation,
    grid,
    input_check,
    option,
    segmenter,
    shortcuts,
    subgroups,
    warnings,
)

if TYPE_CHECKING:
    from classifier.data.manifest import Row

PARTS = ("train", "val", "test")
COLUMNS = ("source", "finding", "patients", *PARTS)
REFERENCE = "The findings are those of the manifest; how they were established is not recorded."
NOT_MEASURED = "Not measured: the model was not tested on a hospital left out of its training."
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
MORE = {"reference_standard": list, "external_validity": list}  # the same, optional


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
    return about


def counts(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Images and patients of each source and finding, by part."""
    kinds = sorted({(row.source, "|".join(row.findings or ("unknown",))) for row in rows})
    table = []
    for source, finding in kinds:
        chosen = [r for r in rows if (r.source, "|".join(r.findings or ("unknown",))) == (source, finding)]
        by_part = Counter(row.split for row in chosen)
        patients = len({row.patient for row in chosen})
        table.append(
            {"source": source, "finding": finding, "patients": patients, **{p: by_part[p] for p in PARTS}}
        )
    return table


def render(card: Mapping[str, Any], spec: ModelSpec, *, sha256: str | None = None) -> str:
    """The card as Markdown, without the parts that it lacks."""
    about = card.get("about", {})
    lines = [f"# Model card: {about.get('title', spec.name)}", "", card.get("disclaimer", DISCLAIMER), ""]
    lines += [about["summary"], ""] if "summary" in about else []
    lines += _table("Model", ("", ""), _model_rows(spec, sha256))
    lines += _section("Intended use", about.get("intended_use"))
    lines += _section("Not for", about.get("not_for"))
    lines += _section("Data", about.get("data"))
    lines += _section("Reference standard", about.get("reference_standard", REFERENCE))
    if "images" in card:
        lines += _table("Images and splits", COLUMNS, _count_rows(card["images"]))
        lines += [_split(card), ""]
    lines += warnings(card.get("audit"))
    lines += _training(card.get("training"))
    lines += calibration(card.get("calibration"))
    found = card.get("evaluation") or {}
    lines += evaluation(found) + subgroups(found)
    lines += _section("External validity", about.get("external_validity", NOT_MEASURED))
    lines += shortcuts(found) + input_check(card.get(INPUT_CHECK)) + segmenter(card.get("segmenter"))
    lines += _section("Known shortcuts and biases", about.get("shortcuts"))
    lines += _section("Limits", about.get("limits"))
    lines += _section("Licence", about.get("licence"))
    if "reproduce" in about:
        commands, _, remarks = about["reproduce"].partition("\n\n")
        lines += ["## Reproduction", "", "```", commands, "```", "", *([remarks, ""] if remarks else [])]
    return "\n".join(lines).rstrip() + "\n"


def _model_rows(spec: ModelSpec, sha256: str | None) -> Iterator[tuple[str, str]]:
    yield "name", spec.name
    if sha256:
        yield "sha256", f"`{sha256}`"
    yield "images", {"cxr": "frontal chest X-rays", "ct": "CT slices"}.get(spec.slot, "phantoms")
    yield "findings", ", ".join(finding_name(finding) for finding in spec.findings)
    yield (
        "network",
        f"{spec.arch}, layers {', '.join(map(str, spec.layers))}, width {spec.width}, {spec.activation}",
    )
    low, high = spec.hounsfield or spec.clip_percentiles
    ends = f"{low:g} to {high:g} Hounsfield units" if spec.hounsfield else f"percentiles {low:g} to {high:g}"
    part = "the box around the lungs" if spec.crop == "lungs" else "the whole image"
    yield "input", f"{part}, {spec.size} x {spec.size} grey, {spec.resize}, clipped to {ends}"
    ages = f"{spec.age_range[0]:g} to {spec.age_range[1]:g} years" if spec.age_range else "all"
    yield "patient age", ages


def _count_rows(images: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    for line in images:
        named = {**line, "finding": " and ".join(map(finding_name, line["finding"].split("|")))}
        yield tuple(str(named[name]) for name in COLUMNS)
    yield ("all", "", "", *(str(sum(line[part] for line in images)) for part in PARTS))


def _training(training: Mapping[str, Any] | None) -> list[str]:
    if not training:
        return []
    start = "pretrained weights" if training["pretrained"] else "random weights"
    given = sorted((key, option(value)) for key, value in training["options"].items())
    options = "; ".join(f"{key} {value}" for key, value in given if value)
    lines = [
        "## Training",
        "",
        f"Started from {start}, with PyTorch {training['torch']}. Options: {options}.",
        "",
    ]
    history = [
        (
            str(e["epoch"]),
            str(e["size"]),
            f"{e['minutes']:.1f}",
            f"{e['val_loss']:.3f}",
            f"{e['val_balanced_accuracy']:.3f}",
        )
        for e in training["history"]
    ]
    names = ("epoch", "size", "minutes", "validation loss", "balanced accuracy")
    return lines + (grid(names, history) if history else [])


def _split(card: Mapping[str, Any]) -> str:
    """How the images were split, from the training options."""
    options = (card.get("training") or {}).get("options", {})
    seed = f"seed {options.get('seed', 0)}"
    if not options.get("folds"):
        return f"Split by patient; parts that are not in the manifest were drawn with {seed}."
    by = (
        "patient" if options.get("fold_by") != "image" else "image, so that a patient may be in several parts"
    )
    return f"Fold {options.get('fold')} of {options['folds']}, by {by} ({seed}), is the test part."


def _section(title: str, text: str | Sequence[str] | None) -> list[str]:
    if not text:
        return []
    body = [text] if isinstance(text, str) else [f"- {line}" for line in text]
    return [f"## {title}", "", *body, ""]


def _table(title: str, names: Sequence[str], rows: Iterator[tuple[str, ...]]) -> list[str]:
    return [f"## {title}", "", *grid(names, list(rows))]
