"""Patient-grouped, stratified split into train, val and test; standard library only."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

PARTS = ("train", "val", "test")
FRACTIONS: Mapping[str, float] = {"train": 0.7, "val": 0.1, "test": 0.2}
WITHIN_FOLDS: Mapping[str, float] = {"train": 7 / 8, "val": 1 / 8}


def assign(
    patients: Sequence[str],
    strata: Sequence[str],
    *,
    seed: int,
    fractions: Mapping[str, float] = FRACTIONS,
    given: Sequence[str | None] | None = None,
) -> list[str]:
    """A part for each image, so that no patient is in two and each stratum is spread by `fractions`.

    `given` holds the part that an image already has: it stays, and takes the patient's other images along.
    Depends on the seed and the patients' names only, not on the order of the rows. Raises ValueError for
    unknown parts, fractions that do not sum to 1, and a patient whose given parts disagree.
    """
    _check(fractions)
    part_of = _given_parts(patients, given or [None] * len(patients))
    sizes, groups = _grouped(patients, strata)
    for group in groups.values():
        _spread(group, sizes, part_of, fractions, seed)
    return [part_of[patient] for patient in patients]


def folds(patients: Sequence[str], strata: Sequence[str], *, count: int, seed: int) -> list[int]:
    """A fold from 1 to `count` for each image: no patient in two, each stratum and the whole spread evenly.

    Depends on the seed and the patients' names only. For random image folds give images as the patients.
    Raises ValueError for fewer than two folds.
    """
    if count < 2:
        raise ValueError(f"{count} folds are none: at least two are needed")
    sizes, groups = _grouped(patients, strata)
    fold_of: dict[str, int] = {}
    whole = [0] * count
    for _, group in sorted(groups.items()):
        held = [0] * count
        for patient in sorted(group, key=lambda p: _rank(seed, p)):
            fold = min(range(count), key=lambda k: (held[k], whole[k]))
            fold_of[patient] = fold + 1
            held[fold] += sizes[patient]
            whole[fold] += sizes[patient]
    return [fold_of[patient] for patient in patients]


def fold_parts(
    patients: Sequence[str], strata: Sequence[str], *, count: int, fold: int, seed: int
) -> list[str]:
    """Parts for one of `count` folds: it is the test part, an eighth of the rest is validation."""
    if not 1 <= fold <= count:
        raise ValueError(f"there is no fold {fold} of {count}")
    fold_of = folds(patients, strata, count=count, seed=seed)
    test = {patient for patient, number in zip(patients, fold_of, strict=True) if number == fold}
    return held_out_parts(patients, strata, test=test, seed=seed)


def held_out_parts(
    patients: Sequence[str], strata: Sequence[str], *, test: Collection[str], seed: int
) -> list[str]:
    """Parts with the patients of `test` as the test part; an eighth of the rest is validation."""
    rest = [i for i, patient in enumerate(patients) if patient not in test]
    learned = assign(
        [patients[i] for i in rest], [strata[i] for i in rest], seed=seed, fractions=WITHIN_FOLDS
    )
    parts = ["test"] * len(patients)
    for i, part in zip(rest, learned, strict=True):
        parts[i] = part
    return parts


def _grouped(
    patients: Sequence[str], strata: Sequence[str]
) -> tuple[Mapping[str, int], dict[tuple[str, ...], list[str]]]:
    """Each patient's number of images, and the patients by the strata of their images."""
    strata_of: dict[str, set[str]] = defaultdict(set)
    for patient, stratum in zip(patients, strata, strict=True):
        strata_of[patient].add(stratum)
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for patient, names in strata_of.items():
        groups[tuple(sorted(names))].append(patient)
    return Counter(patients), groups


def _spread(
    group: list[str],
    sizes: Mapping[str, int],
    part_of: dict[str, str],
    fractions: Mapping[str, float],
    seed: int,
) -> None:
    """Give each patient of one stratum that has no part yet to the part that lacks the most images."""
    total = sum(sizes[patient] for patient in group)
    lacking = {part: fraction * total for part, fraction in fractions.items()}
    for patient in group:
        if patient in part_of:
            lacking[part_of[patient]] = lacking.get(part_of[patient], 0.0) - sizes[patient]
    for patient in sorted((p for p in group if p not in part_of), key=lambda p: _rank(seed, p)):
        part = max(fractions, key=lambda name: lacking[name])
        part_of[patient] = part
        lacking[part] -= sizes[patient]


def _rank(seed: int, patient: str) -> bytes:
    return hashlib.sha256(f"{seed}:{patient}".encode()).digest()


def _check(fractions: Mapping[str, float]) -> None:
    if set(fractions) - set(PARTS) or min(fractions.values()) < 0:
        raise ValueError(f"fractions must be non-negative and name {', '.join(PARTS)}: {dict(fractions)}")
    if abs(sum(fractions.values()) - 1) > 1e-6:
        raise ValueError(f"fractions must sum to 1, not {sum(fractions.values()):g}")


def _given_parts(patients: Sequence[str], given: Sequence[str | None]) -> dict[str, str]:
    part_of: dict[str, str] = {}
    for patient, part in zip(patients, given, strict=True):
        if not part:
            continue
        if part not in PARTS:
            raise ValueError(f"unknown part {part!r}: expected one of {', '.join(PARTS)}")
        if part_of.setdefault(patient, part) != part:
            raise ValueError("a patient is given to two parts of the split")
    return part_of
