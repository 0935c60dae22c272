"""The API against its own description, by schemathesis: no server error, and every answer as described."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from webapp.accounts.permissions import Permission
from webapp.accounts.services import token_create

EXAMPLES = "2"  # an operation and a mode; by hand it is asked for thousands


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_nothing_that_is_sent_breaks_it_and_every_answer_is_as_described(
    live_server, person, site, settings, tmp_path
):
    settings.HILUM_API_RATE = 0
    admin = person("ada", role="admin", site=site)
    _, token = token_create(user=admin, site=site, name="fuzz", scopes=tuple(Permission))
    command = [
        *(str(Path(sys.executable).parent / "schemathesis"), "run", f"{live_server.url}/api/v1/schema/"),
        *("--header", f"Authorization: Bearer {token}", "--checks", "all", "--max-examples", EXAMPLES),
        *("--phases", "fuzzing", "--seed", "1", "--max-response-time", "45", "--request-timeout", "60"),
        *("--suppress-health-check", "all", "--no-color", "--continue-on-failure"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:]
