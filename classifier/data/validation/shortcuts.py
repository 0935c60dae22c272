"""What tells an image's source or finding without its lungs: size, borders, grey levels, sharpness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from classifier.data.validation.image_statistics import NUMBERS
from classifier.data.validation.warning import Collection, Severity, Warning_, listed

TELLING = 0.5  # a habit's share in one source above that in the others
WORRYING, PLAIN = 0.7, 0.85  # AUC by the image's outward facts alone
FOLDS, FEWEST = 3, 20
EXAMPLES = 20


def unreadable(data: Collection) -> Iterator[Warning_]:
    refused = np.flatnonzero(data.statistics.reason != "")
    if len(refused):
        reasons = dict(Counter(data.statistics.reason[refused].tolist()))
        told = listed([f"{count:,} {reason}" for reason, count in reasons.items()])
        yield Warning_(
            "unreadable",
            Severity.MEDIUM,
            f"{len(refused):,} files cannot be used ({told}).",
            "Export them again or take them out of the manifest; they are left out.",
            {"reasons": reasons},
            data.images(refused)[:EXAMPLES],
        )


def habits(data: Collection) -> Iterator[Warning_]:
    """Outward habits that most images of one source have and most others have not."""
    readable = data.statistics.reason == ""
    rows, columns = data.statistics.number("rows"), data.statistics.number("columns")
    short = np.minimum(rows, columns)
    common = Counter(short[readable].tolist()).most_common(6)
    traits = {
        "exactly square": rows == columns,
        "black borders": data.statistics.number("border") > 0.02,
        "fewer than 200 grey levels": data.statistics.number("levels") < 200,
        "more than 256 grey levels": data.statistics.number("levels") > 256,
        **{f"a shorter side of {side:g} pixels": short == side for side, _ in common},
    }
    for source in sorted(set(data.source.tolist())):
        here, there = (data.source == source) & readable, (data.source != source) & readable
        if here.sum() < FEWEST or there.sum() < FEWEST:
            continue
        shares = {name: (float(t[here].mean()), float(t[there].mean())) for name, t in traits.items()}
        telling = {name: both for name, both in shares.items() if both[0] - both[1] >= TELLING}
        if telling:
            told = [f"{name} ({own:.0%}, elsewhere {other:.0%})" for name, (own, other) in telling.items()]
            yield Warning_(
                "source_giveaway",
                Severity.MEDIUM,
                f"{source}'s images can be told from their outside: {listed(told)}.",
                "Export all sources alike (same size, proportions, no borders); augmentation helps in part.",
                {"source": source, "shares": {name: list(both) for name, both in telling.items()}},
            )


def probe(data: Collection) -> Iterator[Warning_]:
    """How well a small forest tells the finding from NUMBERS alone, on patients that it has not seen."""
    known = np.flatnonzero((data.finding != "") & (data.statistics.reason == ""))
    kept = [f for f, n in Counter(data.finding[known].tolist()).items() if n >= FEWEST]
    known = known[np.isin(data.finding[known], kept)]
    if len(kept) < 2 or len(set(data.patient[known].tolist())) < FOLDS * len(kept):
        return
    areas = outward_auc(data.statistics.numbers[known], data.finding[known], data.patient[known])
    if not areas or np.mean(list(areas.values())) < WORRYING:
        return
    worst = max(areas.values())
    told = listed([f"{finding} {area:.2f}" for finding, area in areas.items()])
    yield Warning_(
        "finding_told_from_outside",
        Severity.HIGH if worst >= PLAIN else Severity.MEDIUM,
        "Size, borders, number of grey levels, brightness and sharpness alone, without a look at the lungs, "
        f"tell the findings of unseen patients apart with an AUC of {told} (0.5 would be nothing).",
        "Hold any model's figures against these; export all sources alike; crop to the lungs.",
        {"auc": areas, "facts": list(NUMBERS)},
    )


def outward_auc(numbers: np.ndarray, findings: np.ndarray, patients: np.ndarray) -> dict[str, float]:
    """AUC of each finding against the rest, out of fold by patient."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    forest = RandomForestClassifier(60, max_depth=8, min_samples_leaf=5, random_state=0)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    names = np.unique(findings)
    said = cross_val_predict(forest, numbers, findings, groups=patients, cv=folds, method="predict_proba")
    return {str(name): float(roc_auc_score(findings == name, said[:, k])) for k, name in enumerate(names)}
