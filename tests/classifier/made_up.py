"""Made-up returns of a model with three findings, with ties and, where asked for, rare findings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from classifier.contract import ModelSpec, Slot, predict_from
from classifier.data.manifest import Row
from classifier.evaluation.predictions import Case

FINDINGS = ("normal", "pneumonia", "covid19")
SPEC = ModelSpec(name="tiny", slot=Slot.CXR, findings=FINDINGS, thresholds=dict.fromkeys(FINDINGS, 0.4))
RNG = np.random.default_rng(0)


def made_up(
    count: int, *, skill: float = 1.0, shares: Sequence[float] = (1 / 3, 1 / 3, 1 / 3)
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities (rounded, so that there are ties), targets, and whole weights from 0 to 3."""
    y_true = RNG.choice(3, count, p=shares)
    y_true[:3] = range(3)
    powers = np.exp(RNG.normal(0, 1, (count, 3)) + skill * np.eye(3)[y_true])
    p = (powers / powers.sum(axis=1, keepdims=True)).round(2)
    weights = RNG.integers(0, 4, count).astype(float)
    weights[:3] = 1
    return p / p.sum(axis=1, keepdims=True), np.eye(3)[y_true], weights


def cases_of(
    p: np.ndarray, t: np.ndarray, *, patients=None, source="north", spec=SPEC, **facts
) -> list[Case]:
    """A case a line; `facts` (view, sex, age) are lists of as many values."""
    cases = []
    for i, (text, y_true) in enumerate(zip(p, t, strict=True)):
        patient = f"p{i}" if patients is None else patients[i]
        known = {name: values[i] for name, values in facts.items()}
        finding = (FINDINGS[y_true.argmax()],)
        row = Row(f"{source}{i}.png", Path(f"{i}.png"), finding, patient, source, **known)
        cases.append(Case(row, predict_from(spec, dict(zip(FINDINGS, text.tolist(), strict=True)))))
    return cases
