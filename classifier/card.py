"""Model cards (Mitchell et al. 2019): facts as JSON inside the artifact, and as Markdown for people.

`python -m classifier.card FILE` prints the Markdown of an artifact's card.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.artifact import read_header
from classifier.contract import DISCLAIMER, ModelSpec
from classifier.evaluate import as_text

if TYPE_CHECKING:
    from classifier.data import Row

PARTS = ("train", "val", "test")
ABOUT = {  # what only the people who train a model can say; `--about` fills it in
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


def build(
    spec: ModelSpec,
    *,
    rows: Sequence[Row],
    training: Mapping[str, Any],
    calibration: Mapping[str, Any],
    found: Mapping[str, Any],
    about: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The card: what was told (`about`), what was counted (`rows`), what was done, and what was measured."""
    return {
        "about": {"title": spec.name, **(about or {})},
        "disclaimer": DISCLAIMER,
        "pictures": counts(rows),
        "training": dict(training),
        "calibration": dict(calibration),
        "evaluation": {name: value for name, value in found.items() if name != "curves"},
    }


def check_about(about: Any) -> dict[str, Any]:
    """The statements of an `--about` file; raises ValueError for unknown names and wrong types."""
    if not isinstance(about, dict):
        raise ValueError("the statements about a model are a JSON object")
    for name, value in about.items():
        if name not in ABOUT or not isinstance(value, ABOUT[name]):
            raise ValueError(f"{name!r} is not a statement about a model, or not of its type")
    return about


def counts(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Pictures and patients of each source and finding, by part."""
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
    """The card as Markdown; a card that lacks a part is rendered without it."""
    about = card.get("about", {})
    lines = [f"# Model card: {about.get('title', spec.name)}", "", card.get("disclaimer", DISCLAIMER), ""]
    lines += [about["summary"], ""] if "summary" in about else []
    lines += _table("Model", ("", ""), _model_rows(spec, sha256))
    lines += _section("Intended use", about.get("intended_use"))
    lines += _section("Not for", about.get("not_for"))
    lines += _section("Data", about.get("data"))
    if "pictures" in card:
        lines += _table("Pictures", ("source", "finding", "patients", *PARTS), _count_rows(card["pictures"]))
    lines += _training(card.get("training"))
    lines += _calibration(card.get("calibration"))
    lines += _evaluation(card.get("evaluation"))
    lines += _section("Shortcuts and biases that are known", about.get("shortcuts"))
    lines += _section("Limits", about.get("limits"))
    lines += _section("Licence", about.get("licence"))
    if "reproduce" in about:
        lines += ["## How to reproduce it", "", "```", about["reproduce"], "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _model_rows(spec: ModelSpec, sha256: str | None) -> Iterator[tuple[str, str]]:
    yield "name", spec.name
    if sha256:
        yield "sha256", f"`{sha256}`"
    yield "for", f"{spec.slot.value} images"
    yield "findings", ", ".join(spec.findings)
    yield (
        "network",
        f"{spec.arch}, layers {', '.join(map(str, spec.layers))}, width {spec.width}, {spec.activation}",
    )
    low, high = spec.clip_percentiles
    yield (
        "input",
        f"{spec.size} x {spec.size} grey, {spec.resize}, clipped to percentiles {low:g} to {high:g}",
    )
    ages = f"{spec.age_range[0]:g} to {spec.age_range[1]:g} years" if spec.age_range else "not restricted"
    yield "ages", ages


def _count_rows(pictures: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    names = ("source", "finding", "patients", *PARTS)
    for line in pictures:
        yield tuple(str(line[name]) for name in names)
    yield ("all", "", "", *(str(sum(line[part] for line in pictures)) for part in PARTS))


def _training(training: Mapping[str, Any] | None) -> list[str]:
    if not training:
        return []
    start = "given weights (--pretrained)" if training["pretrained"] else "random weights"
    options = "; ".join(f"{key} {_option(value)}" for key, value in sorted(training["options"].items()))
    lines = ["## Training", "", f"From {start}, with PyTorch {training['torch']}. Options: {options}.", ""]
    history = [
        (
            str(e["epoch"]),
            str(e["size"]),
            f"{e['minutes']:.0f}",
            f"{e['val_loss']:.3f}",
            f"{e['val_balanced_accuracy']:.3f}",
        )
        for e in training["history"]
    ]
    names = ("epoch", "size", "minutes", "validation loss", "balanced accuracy")
    return lines + (_grid(names, history) if history else [])


def _option(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _calibration(fitted: Mapping[str, Any] | None) -> list[str]:
    if not fitted:
        return []
    lines = [
        "## Calibration and thresholds",
        "",
        f"Fitted on {fitted['cases']} validation pictures, on the weights as they are stored: temperature "
        f"{fitted['temperature']:.3f}; maps are at full strength from {fitted['cam_scale']:.3f} logits. "
        "Thresholds maximise sensitivity + specificity there (Youden's index):",
        "",
    ]
    rows = [
        (name, f"{v['threshold']:.3f}", f"{v['sensitivity']:.3f}", f"{v['specificity']:.3f}")
        for name, v in fitted["thresholds"].items()
    ]
    return lines + _grid(("finding", "threshold", "sensitivity", "specificity"), rows)


def _evaluation(found: Mapping[str, Any] | None) -> list[str]:
    if not found:
        return []
    lines = [
        "## Evaluation on the held-out test part",
        "",
        f"{found['cases']} pictures of {found['patients']} patients who are in no other part. "
        "In brackets: 95 % interval, bootstrap by patient.",
        "",
    ]
    rows = [(name.replace("_", " "), as_text(value)) for name, value in found["overall"].items()]
    rows.append(("finding shown to the reader is right", f"{found['reported']['right']:.3f}"))
    rows.append(("no finding reaches its threshold", f"{found['reported']['none']:.3f}"))
    lines += _grid(("measure", "value"), rows)
    keys = ("auc", "sensitivity", "specificity", "ppv", "npv", "f1")
    per = [
        (name, str(v["present"]), *(as_text(v[key]) for key in keys)) for name, v in found["findings"].items()
    ]
    lines += [
        "Each finding against the rest, at its threshold:",
        "",
        *_grid(("finding", "cases", *keys), per),
    ]
    return lines + _confusion(found.get("confusion")) + _sources(found["sources"])


def _confusion(confusion: Mapping[str, Any] | None) -> list[str]:
    if not confusion:
        return []
    names = confusion["findings"]
    rows = [(name, *map(str, line)) for name, line in zip(names, confusion["counts"], strict=True)]
    return ["Truth (rows) and most probable finding (columns):", "", *_grid(("", *names), rows)]


def _sources(sources: Mapping[str, Any]) -> list[str]:
    if not sources:
        return []
    accuracy = [
        (name, str(v["cases"]), str(v["patients"]), as_text(v["accuracy"]) if "accuracy" in v else "")
        for name, v in sources.items()
    ]
    lines = ["### By source", "", *_grid(("source", "pictures", "patients", "accuracy"), accuracy)]
    pairs = [
        (name, pair, str(m["cases"]), as_text(m["auc"]))
        for name, v in sources.items()
        for pair, m in v["pairs"].items()
    ]
    if not pairs:
        return lines
    lines += [
        "Two findings of the same source ranked against each other, so that the source itself is no help:",
        "",
    ]
    return lines + _grid(("source", "findings", "pictures", "AUC"), pairs)


def _section(title: str, said: str | Sequence[str] | None) -> list[str]:
    if not said:
        return []
    body = [said] if isinstance(said, str) else [f"- {line}" for line in said]
    return [f"## {title}", "", *body, ""]


def _table(title: str, names: Sequence[str], rows: Iterator[tuple[str, ...]]) -> list[str]:
    return [f"## {title}", "", *_grid(names, list(rows))]


def _grid(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [names, ["---"] * len(names), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines] + [""]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m classifier.card", description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path)
    header = read_header(parser.parse_args(argv).artifact)
    sys.stdout.write(render(header.card, header.spec, sha256=header.sha256))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
