"""Duplicate images: same bytes, same pixels, or nearly the same image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from classifier.data.validation.image_statistics import ImageStatistics
from classifier.data.validation.warning import Collection, Severity, Warning_

BITS_APART = 4  # of 64
CORRELATION = 0.985  # of the thumbnails, to confirm equal hashes: all chest X-rays look similar
BLOCK = 256
EXAMPLES = 20
KINDS = {"bytes": "the same file", "pixels": "the same pixels", "near": "nearly the same image"}


def copies(data: Collection) -> Iterator[Warning_]:
    """Duplicates under another patient ID, in another part, or with another finding."""
    readable = np.flatnonzero(data.statistics.reason == "")
    seen: set[tuple[int, int]] = set()
    for kind, pairs in (
        ("bytes", equal_pairs(data.statistics.sha256, readable)),
        ("pixels", equal_pairs(data.statistics.pixels, readable)),
        ("near", near_pairs(data.statistics, readable)),
    ):
        new = [pair for pair in pairs if pair not in seen]
        seen.update(new)
        yield from _warning(kind, new, data)


def _warning(kind: str, pairs: list[tuple[int, int]], data: Collection) -> Iterator[Warning_]:
    if not pairs:
        return
    one, other = np.array(pairs).T
    patients, parts, findings = (
        values[one] != values[other] for values in (data.patient, data.part, data.finding)
    )
    parts &= (data.part[one] != "") & (data.part[other] != "")
    conflicting = patients | parts | findings
    if not conflicting.any():
        return
    numbers = {
        "pairs": int(conflicting.sum()),
        "of_different_patients": int(patients.sum()),
        "in_different_parts": int(parts.sum()),
        "with_different_findings": int(findings.sum()),
    }
    yield Warning_(
        f"same_{kind}" if kind != "near" else "near_duplicates",
        Severity.HIGH if parts.any() or findings.any() else Severity.MEDIUM,
        f"{numbers['pairs']:,} pairs of images are {KINDS[kind]}: {numbers['of_different_patients']:,} "
        f"with different patient IDs, {numbers['in_different_parts']:,} in two parts of the split, "
        f"{numbers['with_different_findings']:,} with different findings.",
        "Keep one of each pair, or give both the same patient ID, so that they stay in one part.",
        numbers,
        [" = ".join(data.images(pair)) for pair in np.array(pairs)[conflicting][:EXAMPLES]],
    )


def equal_pairs(keys: np.ndarray, index: np.ndarray) -> list[tuple[int, int]]:
    """Each image that equals an earlier one, with the first of its kind."""
    first: dict[str, int] = {}
    keyed = zip(index.tolist(), keys[index].tolist(), strict=True)
    return [(one, i) for i, key in keyed if (one := first.setdefault(key, i)) != i]


def near_pairs(statistics: ImageStatistics, index: np.ndarray) -> list[tuple[int, int]]:
    """Pairs whose hashes differ by BITS_APART at most and whose thumbnails agree.

    Finds scaled, recompressed or brightened copies; not rotated, cropped or mirrored ones.
    """
    hashes = statistics.perceptual[index]
    thumbs = statistics.thumbs[index].reshape(len(index), -1).astype(np.float32)
    thumbs -= thumbs.mean(axis=1, keepdims=True)
    thumbs /= np.maximum(np.linalg.norm(thumbs, axis=1, keepdims=True), 1e-6)
    found = []
    for start in range(0, len(index), BLOCK):
        apart = np.bitwise_count(hashes[start : start + BLOCK, None] ^ hashes[None, start:])
        one, other = np.nonzero(apart <= BITS_APART)
        one, other = one[other > one] + start, other[other > one] + start
        for some in np.array_split(np.arange(len(one)), len(one) // 20_000 + 1):
            alike = np.einsum("nk,nk->n", thumbs[one[some]], thumbs[other[some]]) >= CORRELATION
            pairs = zip(index[one[some][alike]], index[other[some][alike]], strict=True)
            found += [(int(a), int(b)) for a, b in pairs]
    return found
