from __future__ import annotations

import gc

from webapp.core.http.warm import warm


def test_what_a_web_process_has_loaded_is_no_longer_collected():
    try:
        warm()
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()
