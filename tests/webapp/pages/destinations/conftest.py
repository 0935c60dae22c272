"""The receivers on loopback of the results."""

from tests.webapp.results.conftest import (  # noqa: F401 - fixtures
    admin,
    destination,
    finish,
    pacs,
    rule,
    send_all,
)
