"""Shortcuts: size, borders, grey levels or sharpness that identify the source or the finding of an image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from classifier.contract import finding_in_text
from classifier.data.validation.image_statistics import NUMBERS
from classifier.data.validation.warning import Collection, Severity, Warning_, listed

DIFFERENCE = 0.5  # of a property's share in one source and in the others
SUSPECT, CLEAR = 0.7, 0.85  # AUC by the image statistics alone
FOLDS, FEWEST = 3, 20
EXAMPLES = 20


def unreadable(data: Collection) -> Iterator[Warning_]:
    refused = np.flatnonzero(data.statistics.reason != "")
    if len(refused):
        reasons = dict(Counter(data.statistics.reason[refused].tolist()))
        counts = listed([f"{count:,} {reason}" for reason, count in reasons.items()])
        yield Warning_(
            "unreadable",
            Severity.MEDIUM,
            f"{len(refused):,} files cannot be used ({counts}).",
            "Export them again or remove them from the manifest; they are left out.",
            {"reasons": reasons},
            data.images(refused)[:EXAMPLES],
        )


def source_properties(data: Collection) -> Iterator[Warning_]:
    """Properties that most images of one source have and most others have not."""
    readable = data.statistics.reason == ""
    rows, columns = data.statistics.number("rows"), data.statistics.number("columns")
    short = np.minimum(rows, columns)
    common = Counter(short[readable].tolist()).most_common(6)
    properties = {
        "exactly square": rows == columns,
        "black borders": data.statistics.number("border") > 0.02,
        "fewer than 200 grey levels": data.statistics.number("levels") < 200,
        "more than 256 grey levels": data.statistics.number("levels") > 256,
        **{f"a shorter side of {side:g} pixels": short == side for side, _ in common},
    }
    for source in data.sources:
        here, there = (data.source == source) & readable, (data.source != source) & readable
        if here.sum() < FEWEST or there.sum() < FEWEST:
            continue
        shares = {name: (float(t[here].mean()), float(t[there].mean())) for name, t in properties.items()}
        distinct = {name: both for name, both in shares.items() if both[0] - both[1] >= DIFFERENCE}
        if distinct:
            named = [f"{name} ({own:.0%}, elsewhere {other:.0%})" for name, (own, other) in distinct.items()]
            yield Warning_(
                "source_shortcut",
                Severity.MEDIUM,
                f"Images of {source} can be recognised without the lungs: {listed(named)}.",
                "Export all sources in the same way: size, proportions, no borders.",
                {"source": source, "shares": {name: list(both) for name, both in distinct.items()}},
            )


def probe(data: Collection) -> Iterator[Warning_]:
    """How well a random forest predicts the finding from NUMBERS alone, for patients held out."""
    known = np.flatnonzero((data.finding != "") & (data.statistics.reason == ""))
    kept = [f for f, n in Counter(data.finding[known].tolist()).items() if n >= FEWEST]
    known = known[np.isin(data.finding[known], kept)]
    if len(kept) < 2 or len(set(data.patient[known].tolist())) < FOLDS * len(kept):
        return
    areas = statistics_auc(data.statistics.numbers[known], data.finding[known], data.patient[known])
    if not areas or np.mean(list(areas.values())) < SUSPECT:
        return
    worst = max(areas.values())
    named = listed([f"{finding_in_text(finding)} {area:.2f}" for finding, area in areas.items()])
    yield Warning_(
        "finding_shortcut",
        Severity.HIGH if worst >= CLEAR else Severity.MEDIUM,
        "Size, borders, number of grey levels, brightness and sharpness alone, without the lungs, predict "
        f"the findings of held-out patients with an AUC of {named} (0.5: chance).",
        "Compare every model's AUC with these; export all sources in the same way; crop to the lungs.",
        {"auc": areas, "statistics": list(NUMBERS)},
    )


def statistics_auc(numbers: np.ndarray, findings: np.ndarray, patients: np.ndarray) -> dict[str, float]:
    """AUC of each finding against the rest, out of fold by patient."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    forest = RandomForestClassifier(60, max_depth=8, min_samples_leaf=5, random_state=0)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    names = np.unique(findings)
    predicted = cross_val_predict(
        forest, numbers, findings, groups=patients, cv=folds, method="predict_proba"
    )
    return {
        str(name): float(roc_auc_score(findings == name, predicted[:, k])) for k, name in enumerate(names)
    }
