"""Images as a classifier describes them: what the scores of other abnormalities are fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from classifier.artifact.weights import Artifact
from classifier.contract import NORMAL, predict_from
from classifier.data.manifest import Row
from classifier.inference.predictor import deterministic
from classifier.networks.preprocess import normalise
from classifier.networks.registry import probabilities_of

BATCH = 32


@dataclass(frozen=True)
class Cases:
    """Images by their pooled features (N, channels) and logits (N, findings), float32.

    `findings` (N,) are the known ones, joined by `|`, empty for an image with an `other` abnormality (N,).
    `reported` (N,): the classifier reports a finding other than `normal`. `parts` (N,) are those of the
    classifier's split, empty for images of another manifest.
    """

    pooled: np.ndarray
    logits: np.ndarray
    findings: np.ndarray
    other: np.ndarray
    reported: np.ndarray
    sources: np.ndarray
    patients: np.ndarray
    parts: np.ndarray

    def where(self, kept: np.ndarray) -> Cases:
        return Cases(**{name: values[kept] for name, values in vars(self).items()})

    def __len__(self) -> int:
        return len(self.pooled)

    @property
    def held_out(self) -> np.ndarray:
        """Known images (N,) that the classifier has not learned from."""
        return ~self.other & (self.parts != "train")


def joined(several: Sequence[Cases]) -> Cases:
    return Cases(**{name: np.concatenate([getattr(c, name) for c in several]) for name in vars(several[0])})


@torch.inference_mode()
def cases_of(
    artifact: Artifact, rows: Sequence[Row], images: np.ndarray, device: str, *, quiet: bool = False
) -> Cases:
    """The cases of rows with a finding, from their prepared images (N, size, size) uint8."""
    spec, network = artifact.spec, artifact.network.to(device).eval()
    pooled, logits, reported = [], [], []
    bar = tqdm(total=len(rows), desc="computing features", unit="img", disable=True if quiet else None)
    for start in range(0, len(rows), BATCH):
        unit = torch.from_numpy(images[start : start + BATCH]).to(device).float().div_(255)[:, None]
        with deterministic(torch.device(device)):
            features = network.forward_features(normalise(unit, spec)).float()
            found = network.forward_head(features)
        for row in probabilities_of(found, spec).tolist():
            prediction = predict_from(spec, dict(zip(spec.findings, row, strict=True)))
            reported.append(prediction.finding not in (None, NORMAL))
        pooled.append(features.mean(dim=(2, 3)).cpu().numpy())
        logits.append(found.cpu().numpy())
        bar.update(len(unit))
    bar.close()
    other = np.array([bool(set(row.findings or ()) - set(spec.findings)) for row in rows])
    names = ["|".join(row.findings or ()) for row in rows]
    return Cases(
        pooled=np.concatenate(pooled),
        logits=np.concatenate(logits),
        findings=np.where(other, "", names),
        other=other,
        reported=np.array(reported),
        sources=np.array([row.source for row in rows]),
        patients=np.array([row.patient for row in rows]),
        parts=np.array([row.split or "" for row in rows]),
    )
