"""How often the input check stops images, by group, with Wilson intervals."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from scipy.stats import binomtest
from torch import Tensor

from classifier.networks.input_check import CUT_OFF, TURNED, InputCheck
from classifier.training.input_check.data import CLOSE_UP, LATERAL_GROUP, Item, Views
from classifier.training.input_check.train import BATCH, Material, train_input_check

FOLDS = 3  # of the patients with lateral views


def wilson(part: int, whole: int) -> tuple[float, float]:
    """95 % Wilson interval of a share; (0, 1) of nothing."""
    if not whole:
        return 0.0, 1.0
    interval = binomtest(part, whole).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def stops(network: InputCheck, material: Material) -> list[str]:
    """The reason for which each image is stopped, empty where it passes."""
    return reasons_of(network, material.unit()) if material.items else []


def reasons_of(network: InputCheck, unit: Tensor) -> list[str]:
    return [reason.value if reason else "" for batch in unit.split(256) for reason in network.judge(batch)]


def rates(groups: Iterable[str], reasons: Iterable[str]) -> list[dict[str, Any]]:
    """Of every group: how many images, how many stopped, the rate with its interval, and why."""
    found: dict[str, Counter] = defaultdict(Counter)
    for group, reason in zip(groups, reasons, strict=True):
        found[group][reason] += 1
    table = []
    for group, counts in sorted(found.items()):
        n, stopped = counts.total(), counts.total() - counts[""]
        low, high = wilson(stopped, n)
        why = {reason: count for reason, count in counts.most_common() if reason}
        share = {"n": n, "stopped": stopped, "rate": stopped / n, "low": low, "high": high}
        table.append({"group": group, **share, "reasons": why})
    return table


def overall_rates(network: InputCheck, material: Material) -> dict[str, Any]:
    """Rates on the `test` items: patients and origins not seen in training, of groups that were."""
    unseen = material.where(lambda item: item.part == "test")
    return {"same_groups": rates(map(name_of, unseen.items), stops(network, unseen))}


@dataclass(frozen=True)
class Absence:
    """What one run of `held_out_rates` leaves out."""

    group: str
    source: str
    fold: int | str

    def of(self, item: Item) -> str:
        """What is unseen of an item: its group, its source, its patient, or nothing (empty)."""
        if not item.group:
            return "source" if item.source == self.source else ""
        if item.group == self.group:
            return "group"
        digest = hashlib.sha256(item.patient.encode()).digest()
        return "patient" if item.group == LATERAL_GROUP and digest[0] % FOLDS == self.fold else ""


def made_rates(network: InputCheck, material: Material, *, seed: int = 0) -> dict[str, Any]:
    """Rates on views of frontal `test` images: rotated, with lungs cut off, close-ups outside the lungs."""
    frontal = material.where(lambda item: item.part == "test" and not item.group)
    views = Views(seed)
    names, reasons = [], []
    for kind in (TURNED, CUT_OFF, CLOSE_UP):
        unit = views.placed(frontal.images, [kind] * len(frontal.items), frontal.lungs)
        names += [f"{kind}, out of frontal images"] * len(unit)
        reasons += reasons_of(network, unit)
    return {"made": rates(names, reasons)}


def held_out_rates(
    material: Material, synthetic: np.ndarray, *, steps: int, batch: int = BATCH, seed: int = 0
) -> dict[str, Any]:
    """Rates of input checks trained without the group, source or patient on which they are measured.

    Each run leaves out one group of OOD negatives, one source of frontal images and, in as many runs as there
    are folds, a part of the patients with lateral views.
    """
    names: list[str] = []
    reasons: list[str] = []
    for run, absence in enumerate(absences(material.items)):
        seen = material.where(lambda item, a=absence: not a.of(item))
        network = train_input_check(seen, synthetic, steps=steps, batch=batch, seed=seed + 1 + run)
        unseen = material.where(lambda item, a=absence: bool(a.of(item)))
        reasons += stops(network, unseen)
        names += [f"{name_of(item)}, unseen {absence.of(item)}" for item in unseen.items]
    return {"held_out": rates(names, reasons)}


def absences(items: Sequence[Item]) -> list[Absence]:
    """The fewest runs that leave out each group, each source and each patient with a lateral view once.

    A group of `test` items only is not learned from anyway.
    """
    groups = sorted({item.group for item in items if item.group and item.part == "train"} - {LATERAL_GROUP})
    sources = sorted({item.source for item in items if not item.group})
    laterals = any(item.group == LATERAL_GROUP for item in items)
    runs = [
        Absence(group, source, fold)
        for group, source, fold in zip_longest(groups, sources, range(FOLDS if laterals else 0), fillvalue="")
    ]
    return runs + [Absence(LATERAL_GROUP, "", "")] * laterals


def name_of(item: Item) -> str:
    """The group that an image is counted in; bedside views are apart where the view is known."""
    if item.group:
        return item.group
    view = {"": "", "PA": ", PA"}.get(item.view, ", AP")
    return f"frontal, {item.source}{view}"
