"""The DICOM conformance statement (PS3.2), written from the tables that the program runs by."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydicom.uid import UID

from classifier.images.limits import MAX_FILE_BYTES
from webapp.dicom.commitment import CLASS_CONFLICT, NO_SUCH_INSTANCE, PROCESSING_FAILURE
from webapp.dicom.contexts import storage_contexts
from webapp.dicom.listener import server, sockets, statuses
from webapp.dicom.selectors import Refusal
from webapp.dicom.values import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from webapp.dicomweb.matching import INSTANCE_KEYS, LIMIT, SERIES_KEYS, STUDY_FIELDS
from webapp.dicomweb.urls import urlpatterns
from webapp.dicomweb.views.capabilities import methods_of
from webapp.dicomweb.views.retrieve import FRAME_TYPES
from webapp.settings.environment import BASE_DIR

TEMPLATE = Path("dicomweb", "conformance.md")


def statement() -> str:
    storage = storage_contexts()
    reasons = {
        PROCESSING_FAILURE: "not processed within 24 hours",
        NO_SUCH_INSTANCE: "not here: never received, refused, or of a site that removes identities",
        CLASS_CONFLICT: "here, with another SOP class",
    }
    text = (BASE_DIR / "templates" / TEMPLATE).read_text()
    return text.format(
        class_uid=IMPLEMENTATION_CLASS_UID,
        version_name=IMPLEMENTATION_VERSION_NAME,
        pdu=server.PDU_BYTES,
        most_pdu=sockets.MAX_PDU_BYTES,
        request=server.REQUEST_SECONDS,
        handshake=sockets.HANDSHAKE_SECONDS,
        idle=server.IDLE_SECONDS,
        grace=sockets.GRACE_SECONDS,
        rate=sockets.BYTES_PER_SECOND >> 10,
        most_file=MAX_FILE_BYTES >> 20,
        limit=LIMIT,
        refusals=table(
            ("Rejected (permanent, service user), reason", "Remedy"),
            ((one.diagnostic, one.remedy) for one in Refusal),
        ),
        classes=table(("SOP class", "UID"), (_named(one.abstract_syntax) for one in storage)),
        syntaxes=table(("Transfer syntax", "UID"), map(_named, storage[0].transfer_syntax)),
        statuses=table(
            ("Status", "Meaning", "Send again?"),
            ((f"{one.code:04X}", one.meaning, "yes" if one.again else "no") for one in statuses.STATUSES),
        ),
        commitment=table(("Reason", "Meaning"), ((f"{code:04X}", text) for code, text in reasons.items())),
        resources=table(("Resource", "Methods"), map(_resource, urlpatterns)),
        study_keys=_listed(STUDY_FIELDS),
        series_keys=_listed(SERIES_KEYS),
        instance_keys=_listed(INSTANCE_KEYS),
        frames=table(
            ("Stored in", "Media type"), ((UID(uid).name, f"`{kind}`") for uid, kind in FRAME_TYPES.items())
        ),
    )


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _named(uid: str | None) -> tuple[str, str]:
    return UID(uid or "").name, str(uid)


def _resource(pattern) -> tuple[str, str]:
    path = str(pattern.pattern)
    for kind in ("str", "int", "path"):
        path = path.replace(f"<{kind}:", "{")
    return f"`/{path.replace('>', '}')}`", ", ".join(methods_of(pattern))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
