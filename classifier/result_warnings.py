"""What is measured on one image, when that makes a warning, and when warnings withhold the result.

Standard library only, as `classifier.contract`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

from classifier.reasons import AbstentionReason, ResultWarning

WITHHELD_FROM = 2  # warnings
SHIFT = 0.03  # of the input's side, by which it is moved for `Measures.shifted`


@dataclass(frozen=True)
class Measures:
    """Measured on one image by one model, besides its probabilities; None where it was not measured.

    `other_abnormality`, 0 to 1, is the probability that the image shows something that the model does not
    know, if one in two images did. `inside_lungs`, 0 to 1, is the share of the leading finding's positive map
    inside the lungs. `distance` is that of the image's features from those of the training images, 1 for a
    typical one. `mirrored`, 0 to 1, is the probability that the image is mirrored, if one in two was.
    `shifted` is the finding reported for the image moved by SHIFT, "" for none. `dated` is the day of the
    image (ISO 8601). `burned_in`: text was found in its pixels, or is declared.
    """

    other_abnormality: float | None = None
    inside_lungs: float | None = None
    distance: float | None = None
    mirrored: float | None = None
    shifted: str | None = None
    dated: str | None = None
    burned_in: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Only what was measured."""
        found = asdict(self).items()
        return {name: value for name, value in found if value is not None and value is not False}


UNMEASURED = Measures()


class Limit(NamedTuple):
    """A measure beyond `warning` makes one; beyond `withheld` it withholds the result alone (None: never)."""

    warning: float
    withheld: float | None = None


@dataclass(frozen=True)
class WarningLimits:
    """From where a measure makes a warning; fixed on validation images and stored in the artifact.

    `inside_lungs` is a lower limit, `distance` and `mirrored` are upper ones; None: no warning of this kind.
    `distances` are the percentiles 0 to 100 of `Measures.distance` on validation images. `not_before` has, by
    finding, the first day (ISO 8601) on which an image can show it.
    """

    inside_lungs: Limit | None = None
    distance: Limit | None = None
    mirrored: Limit | None = None
    distances: tuple[float, ...] = ()
    not_before: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> WarningLimits:
        """Raises TypeError or ValueError for anything else than `dataclasses.asdict` of one."""
        values = dict(raw)
        if unknown := set(values) - {f.name for f in fields(cls)}:
            raise ValueError(f"unknown limits {sorted(unknown)}")
        for name in ("inside_lungs", "distance", "mirrored"):
            if values.get(name) is not None:
                values[name] = Limit(*values[name])
        values["distances"] = tuple(values.get("distances") or ())
        if list(values["distances"]) != sorted(values["distances"]):
            raise ValueError("the percentiles of the distance are not in ascending order")
        return cls(**values)

    def percentile(self, distance: float) -> int:
        """The share of validation images, in percent, that lie nearer to the training images."""
        return min(bisect_left(self.distances, distance), 100)


class Warned(NamedTuple):
    """The warnings of a result, and the reason for which they withhold it, if they do."""

    warnings: tuple[ResultWarning, ...] = ()
    abstention: AbstentionReason | None = None


def warned(limits: WarningLimits, measures: Measures, positive: str | None) -> Warned:
    """The warnings for a result that reports `positive`, a finding other than `normal` (None: it does not).

    The map, the shift and the date are held against such a result only, and only such a result is withheld
    for its warnings: WITHHELD_FROM of them, or one beyond its second limit.
    """
    found: dict[ResultWarning, bool] = {}  # with whether it withholds alone
    if positive and measures.dated and measures.dated < limits.not_before.get(positive, ""):
        found[ResultWarning.DATED_BEFORE_DISEASE] = True
    if positive and limits.inside_lungs and measures.inside_lungs is not None:
        _add(found, ResultWarning.MAP_OUTSIDE_LUNGS, -measures.inside_lungs, limits.inside_lungs, sign=-1)
    if limits.distance and measures.distance is not None:
        _add(found, ResultWarning.UNUSUAL_IMAGE, measures.distance, limits.distance)
    if limits.mirrored and measures.mirrored is not None:
        _add(found, ResultWarning.MIRRORED, measures.mirrored, limits.mirrored)
    if positive and measures.shifted not in (None, positive):
        found[ResultWarning.UNSTABLE] = False
    if measures.burned_in:
        found[ResultWarning.BURNED_IN_TEXT] = False
    withheld = positive and (len(found) >= WITHHELD_FROM or any(found.values()))
    return Warned(tuple(found), _reason(found) if withheld else None)


def _add(
    found: dict[ResultWarning, bool], code: ResultWarning, value: float, limit: Limit, *, sign: int = 1
) -> None:
    if value > sign * limit.warning:
        found[code] = limit.withheld is not None and value > sign * limit.withheld


def _reason(found: Collection[ResultWarning]) -> AbstentionReason:
    if {ResultWarning.UNUSUAL_IMAGE, ResultWarning.MIRRORED} & set(found):
        return AbstentionReason.OUT_OF_DISTRIBUTION
    return AbstentionReason.IMPLAUSIBLE_EVIDENCE
