from __future__ import annotations

from collections.abc import Iterable

from django.core.management.base import BaseCommand

from classifier.contract import ADVICE, AbstentionReason, RefusalReason
from webapp.api.serializers.scan_record import FAILURES
from webapp.core.errors import CODES
from webapp.training.failures import FAILURES as TRAINING_FAILURES

HEAD = """\
# Error codes of the API

Made by `manage.py error_codes`; a test keeps it true. Every refusal is an RFC 9457 problem
(`application/problem+json`) with `type` (`urn:hilum:error:CODE`), `title`, `status`, `detail`, `code`,
`remedy` and `request_id`. **Rely on `code`**: it stays as it is within `/api/v1/`, while words may become
better. `detail` and `remedy` may be more exact than here. `errors` names the fields that are wrong; `scope`
the scope that the token lacks; `permission` what the role does not grant. A 429 says in `Retry-After` when
to come back.
"""


class Command(BaseCommand):
    help = "Print docs/api-errors.md: every code of the API with its remedy."

    def handle(self, **options) -> None:
        self.stdout.write(page(), ending="")


def page() -> str:
    problems = [(code, m.status, m.message, m.remedy) for code, m in sorted(CODES.items())]
    refused = [(str(r), ADVICE[r].problem, ADVICE[r].remedy) for r in RefusalReason]
    abstained = [(str(r), ADVICE[r].problem, ADVICE[r].remedy) for r in AbstentionReason]
    other = [
        (str(r), a.problem, a.remedy)
        for r, a in ADVICE.items()
        if r not in {c for c, *_ in refused + abstained}
    ]
    failed = [(f"status {s}", a.problem, a.remedy) for s, a in FAILURES.items()]
    training = [(f.code, f.message, f.remedy) for f in TRAINING_FAILURES.values()]
    parts = [
        HEAD,
        _table(("Code", "Status", "Meaning", "Remedy"), problems),
        "## Reasons of scans\n\nNo errors: `reason` says why a scan has no answer. Refused, for good:\n",
        _table(("Reason", "Meaning", "Remedy"), refused),
        "Abstained: this model version gives no answer, and its numbers are marked `withheld`:\n",
        _table(("Reason", "Meaning", "Remedy"), abstained),
        "Waiting and failed (`reason` then tells what broke):\n",
        _table(("Reason", "Meaning", "Remedy"), other + failed),
        "## Reasons of training runs\n",
        _table(("Reason", "Meaning", "Remedy"), training),
    ]
    return "\n".join(parts)


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [tuple(head), *((f"`{first}`", *rest) for first, *rest in rows)]
    text = [" | ".join(str(cell) for cell in line) for line in lines]
    text.insert(1, " | ".join("---" for _ in lines[0]))
    return "".join(f"| {line} |\n" for line in text)
