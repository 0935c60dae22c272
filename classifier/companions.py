"""What an artifact carries besides its classifier: the gate, and the lung segmenter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from classifier.contract import AbstentionReason
from classifier.gate.network import gate_input, load_gate
from classifier.segment import inside_lungs, load_segmenter, lung_mask
from classifier.weights import Artifact


@dataclass(frozen=True)
class Seen:
    """Why a picture is stopped (None: it passes), and its lungs' mask (None: nobody looked)."""

    stopped: AbstentionReason | None = None
    lungs: np.ndarray | None = None

    def inside_lungs(self, grid: np.ndarray) -> float | None:
        """Share of the positive part of a map (h, w) inside the lungs; None where that cannot be said."""
        return None if self.lungs is None else inside_lungs(grid, self.lungs)


class Companions:
    """An artifact's gate and segmenter on one device; one that it does not carry has nothing to say.

    Raises ArtifactError (key_mismatch) where their tensors do not fit.
    """

    def __init__(self, artifact: Artifact, device: torch.device) -> None:
        self.device = device
        self.gate = load_gate(artifact.gate).to(device) if artifact.gate else None
        self.segmenter = load_segmenter(artifact.segmenter, device) if artifact.segmenter else None

    def look(self, working: Sequence[np.ndarray]) -> list[Seen]:
        """What there is to say of each working image (H, W) uint16."""
        reasons: Sequence[AbstentionReason | None] = [None] * len(working)
        masks: Sequence[np.ndarray | None] = [None] * len(working)
        if self.gate is not None:
            unit = torch.stack([gate_input(image) for image in working]).to(self.device)
            reasons = [verdict.reason for verdict in self.gate.judge(unit)]
        if self.segmenter is not None:
            masks = lung_mask(self.segmenter, working)
        return [Seen(reason, mask) for reason, mask in zip(reasons, masks, strict=True)]
