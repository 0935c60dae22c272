"""One thread a test process, since the suite runs on as many processes as there are cores; and draws that do
not depend on which tests came before.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.classifier import made_up

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _the_same_draws(request):
    for module in {made_up, request.module}:
        if isinstance(rng := getattr(module, "RNG", None), np.random.Generator):
            rng.bit_generator.state = np.random.default_rng(0).bit_generator.state
