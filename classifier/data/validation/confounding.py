"""Confounding of findings with source, age, view or sex; rare findings; patients in two parts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from classifier.contract import finding_in_text, finding_name
from classifier.data.validation.warning import Collection, Severity, Warning_, cramers_v, listed, table

STRONG, WEAK = 0.5, 0.25  # Cramer's V
ADULT = 18
FEW_IMAGES, FEW_PATIENTS = 100, 30
FEW_IN_SOURCE = 20
MOSTLY = 0.8


def confounding(data: Collection) -> Iterator[Warning_]:
    """How far the source alone determines the finding, overall and by finding."""
    findings, sources, counts = table(data.finding, data.source)
    if len(sources) < 2 or len(findings) < 2:
        return
    v, total = cramers_v(counts), counts.sum()
    by_source, by_guess = counts.max(axis=0).sum() / total, counts.sum(axis=1).max() / total
    if v >= WEAK:
        yield Warning_(
            "source_confounding",
            Severity.HIGH if v >= STRONG else Severity.MEDIUM,
            f"Source and finding are confounded (Cramer's V {v:.2f}): the most common finding of an image's "
            f"source is correct for {by_source:.0%} of images, the most common of all for {by_guess:.0%}.",
            "Rely on the AUC within a source, not on overall measures. Add images of every finding from "
            "every source, or leave one source out of training and evaluate on it.",
            {"cramers_v": v, "right_by_source": float(by_source), "right_by_guess": float(by_guess)},
        )
    for row, finding in enumerate(findings):
        yield from _sources_of(finding, row, findings, sources, counts)


def _sources_of(
    finding: str, row: int, findings: list[str], sources: list[str], counts: np.ndarray
) -> Iterator[Warning_]:
    having = np.flatnonzero(counts[row])
    others = [k for k in range(len(findings)) if k != row]
    few = (counts < FEW_IN_SOURCE) & (counts < 0.1 * counts.sum(axis=0))
    lacking = {findings[k]: {sources[s]: int(counts[k, s]) for s in having if few[k, s]} for k in others}
    alone = [sources[s] for s in having if not counts[others][:, s].any()]
    numbers = {"images": {sources[s]: int(counts[row, s]) for s in having}, "lacking": lacking}
    named = listed([f"{sources[s]} ({counts[row, s]:,})" for s in having])
    come = f"{finding_name(finding)} comes from {len(having)} source{'s' * (len(having) > 1)}, {named}"
    if len(having) == 1 or alone:
        yield Warning_(
            "finding_of_its_own_source",
            Severity.HIGH,
            f"{come}; {listed(alone) or 'no other source'} has {'nothing else' if alone else 'it'}. "
            "A model can score by recognising the source.",
            f"Add {finding_in_text(finding)} from elsewhere and other findings "
            f"from {listed([sources[s] for s in having])}.",
            numbers,
        )
    missing = {name: few for name, few in lacking.items() if few}
    if missing:
        parts = [
            ("none of which has more than a few" if len(few) == len(having) else _lacking(few))
            + f" {finding_in_text(name)}"
            for name, few in missing.items()
        ]
        yield Warning_(
            "finding_missing_in_source",
            Severity.MEDIUM,
            f"{come}: {'; '.join(parts)}. A model can score by recognising the source.",
            f"Check the AUC of {finding_in_text(finding)} within each source; add the missing findings.",
            numbers,
        )


def _lacking(few: dict[str, int]) -> str:
    return listed([f"{source} has {count or 'no'}" for source, count in few.items()])


def ages(data: Collection) -> Iterator[Warning_]:
    """Children from one source only, and unknown ages."""
    known, child = ~np.isnan(data.age), data.age < ADULT
    if not known.any():
        return
    for source in sorted(set(data.source[child].tolist())):
        here = (data.source == source) & known
        share = float(child[here].sum() / child.sum())
        if share < MOSTLY or child[here].mean() < MOSTLY or here.sum() == known.sum() == len(known):
            continue
        shares = {f: float(child[data.finding == f].mean()) for f in sorted(set(data.finding.tolist())) if f}
        named = listed([f"{part:.0%} of {finding_in_text(finding)}" for finding, part in shares.items()])
        yield Warning_(
            "children_in_one_source",
            Severity.HIGH,
            f"{int(child[here].sum()):,} of the {int(child.sum()):,} images known to be of children (under "
            f"{ADULT}) come from {source}, which has hardly any adults. Children are {named}. Age is a "
            "shortcut to source and finding.",
            "Leave the children out, or add children of every finding; check the measures by age band.",
            {"children": int(child.sum()), "source": source, "share_by_finding": shares},
        )
    yield from _unknown("age", ~known, data)


def balance(data: Collection) -> Iterator[Warning_]:
    """Views and sexes that are confounded with the finding, or unknown."""
    for name, values in (("view", data.view), ("sex", data.sex)):
        if not (values != "").any():
            continue
        findings, kinds, counts = table(data.finding, values)
        v = cramers_v(counts)
        if v >= WEAK:
            shares = counts / counts.sum(axis=1, keepdims=True)
            named = []
            for finding, line in zip(findings, shares, strict=True):
                parts = ", ".join(f"{kind} {share:.0%}" for kind, share in zip(kinds, line, strict=True))
                named.append(f"{finding_name(finding)}: {parts}")
            yield Warning_(
                f"{name}_confounding",
                Severity.HIGH if v >= STRONG else Severity.MEDIUM,
                f"The {name}, where known, is confounded with the finding (V {v:.2f}): {'; '.join(named)}.",
                f"Balance the {name}s, or check the measures by {name}.",
                {"cramers_v": v, "images": int(counts.sum())},
            )
        yield from _unknown(name, values == "", data)


def _unknown(what: str, unknown: np.ndarray, data: Collection) -> Iterator[Warning_]:
    shares = {source: float(unknown[data.source == source].mean()) for source in data.sources}
    empty = [source or "the manifest" for source, share in shares.items() if share > 0.5]
    if empty:
        yield Warning_(
            f"{what}_unknown",
            Severity.LOW,
            f"The {what} is unknown for most images of {listed(empty)}: "
            f"the model cannot be evaluated by {what} there.",
            f"Fill in the manifest's column `{what}`.",
            {"unknown": shares},
        )


def rare(data: Collection) -> Iterator[Warning_]:
    """Findings of few images or patients, by part where parts are given, and images without a finding."""
    for finding in sorted(set(data.finding.tolist()) - {""}):
        index = data.finding == finding
        images, patients = int(index.sum()), len(set(data.patient[index].tolist()))
        tested = len(set(data.patient[index & (data.part == "test")].tolist()))
        if images < FEW_IMAGES or patients < FEW_PATIENTS or (data.part.any() and tested < FEW_PATIENTS):
            in_test = f", {tested:,} of them in the test part" if data.part.any() else ""
            yield Warning_(
                "tiny_finding",
                Severity.HIGH if patients < FEW_PATIENTS else Severity.MEDIUM,
                f"{finding_name(finding)} has {images:,} images of {patients:,} patients{in_test}: its "
                "measures will be uncertain by several hundredths at least.",
                "Collect more, pool predictions over folds (--folds), or leave the finding out.",
                {"finding": finding, "images": images, "patients": patients, "test_patients": tested},
            )
    unknown = int((data.finding == "").sum())
    if unknown:
        yield Warning_(
            "finding_unknown",
            Severity.LOW,
            f"{unknown:,} images have no known finding: they are not used for evaluation, nor for training "
            "unless they have a soft target.",
            "Label them if they are needed.",
            {"images": unknown},
        )


def patients(data: Collection) -> Iterator[Warning_]:
    """Patients in two parts, and sources in which every patient has one image."""
    shared = data.part != ""
    names, _, counts = table(data.patient[shared], data.part[shared])
    leaking = [name for name, line in zip(names, counts > 0, strict=True) if line.sum() > 1]
    if leaking:
        images = int(np.isin(data.patient, leaking).sum())
        yield Warning_(
            "patient_in_two_parts",
            Severity.HIGH,
            f"{len(leaking):,} patients ({images:,} images) are in more than one part of the split: the "
            "model is tested on patients it was trained on.",
            "Split by patient (leave the `split` column empty, or fold by patient).",
            {"patients": len(leaking), "images": images},
        )
    for source in data.sources:
        index = data.source == source
        if index.sum() >= FEW_IMAGES and len(set(data.patient[index].tolist())) == index.sum():
            yield Warning_(
                "patients_not_identified",
                Severity.MEDIUM,
                f"Each of the {int(index.sum()):,} images of {source or 'the manifest'} has a "
                "patient ID of its own. If that was assumed, one person may be in two parts, and intervals "
                "are too narrow.",
                "Find the true patient IDs, or keep the source in one part.",
                {"source": source, "images": int(index.sum())},
            )
