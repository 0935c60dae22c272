"""What the kinds of receivers have in common: how a sending ends, and the credentials for it."""

from __future__ import annotations

import base64

from django.conf import settings

from webapp.results.models import Destination


class SendError(Exception):
    """The receiver did not take what was sent.

    `code` and `problem` go to the delivery log: no text of the receiver is in them. `final`: the same again
    would be refused again. `down`: the receiver as a whole does not work.
    """

    def __init__(self, code: str, problem: str, *, final: bool = False, down: bool = True) -> None:
        super().__init__(f"{code}: {problem}")
        self.code, self.problem, self.final, self.down = code, problem, final, down


def authorization(destination: Destination) -> dict[str, str]:
    """The Authorization header; raises SendError where the named credential is not set."""
    if not destination.credential:
        return {}
    value = settings.HILUM_RESULT_CREDENTIALS.get(destination.credential)
    if not value:
        problem = f"HILUM_RESULT_CREDENTIALS has no entry {destination.credential!r}."
        raise SendError("credential_missing", problem)
    user, colon, password = value.partition(":")
    if colon:
        encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {encoded}"}
    return {"Authorization": f"Bearer {value}"}


def check_status(status: int) -> None:
    """Raise SendError for a status of HTTP other than 2xx; 4xx is final, but for those that pass."""
    if 200 <= status < 300:
        return
    passing = status in (401, 403, 404, 408, 425, 429) or status >= 500
    problem = f"The receiver responded with HTTP status {status}."
    raise SendError("http_error", problem, final=not passing, down=passing)
