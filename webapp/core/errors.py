"""Coded errors: what a person is told, what to do about it, and the code a program can rely on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    status: int
    message: str
    remedy: str


CODES: dict[str, Meaning] = {
    "invalid": Meaning(400, "The request could not be understood.", "Check the fields named below."),
    "csrf": Meaning(403, "This page has been open too long.", "Load the page again and repeat the step."),
    "unauthenticated": Meaning(401, "You are not signed in.", "Sign in, or send a valid token."),
    "forbidden": Meaning(
        403, "Your role does not allow this.", "Ask an administrator of your site for the permission."
    ),
    "insufficient_scope": Meaning(
        403, "This token lacks a scope.", "Make a token that has it: manage.py create_token USER --scope …."
    ),
    "no_site": Meaning(
        403, "Your account belongs to no site.", "Ask an administrator to add you to your site."
    ),
    "not_found": Meaning(404, "There is nothing here.", "Check the address, or go back to the worklist."),
    "method_not_allowed": Meaning(405, "That cannot be done at this address.", "See the API's description."),
    "not_acceptable": Meaning(406, "The answer cannot be given in that form.", "Ask for application/json."),
    "conflict": Meaning(409, "Somebody else changed this meanwhile.", "Load the page again."),
    "patient_conflict": Meaning(
        409,
        "This very file is already filed to another patient.",
        "Check the patient. If the earlier one is wrong, move the scan from its page.",
    ),
    "claim_invalid": Meaning(
        400,
        "What was said of the patient, the study or the file cannot be used.",
        "Correct it and try again.",
    ),
    "reason_missing": Meaning(400, "A reason is needed.", "Say in a few words why this is done."),
    "cursor_invalid": Meaning(
        400, "The cursor is not one of this list.", "Follow the `next` of an answer as it stands."
    ),
    "not_ready": Meaning(409, "There is no answer yet.", "Wait until the analysis is done, then ask again."),
    "artifact_damaged": Meaning(
        409, "The model's file is missing or damaged.", "Register the model file again."
    ),
    "promotion_gate_failed": Meaning(
        409,
        "The gate does not let this candidate pass.",
        "Read its reasons; have it compared again, or override the gate, if you may, and say why.",
    ),
    "nothing_labelled": Meaning(
        409, "There is no labelled scan to train on.", "Label scans, or import labels, then try again."
    ),
    "data_unchanged": Meaning(
        409,
        "Nothing has changed since the last training on these data.",
        "Label more, or train with other options.",
    ),
    "precondition_failed": Meaning(
        412, "It is not in the state that you named any more.", "Get it again and decide anew."
    ),
    "idempotency_key_invalid": Meaning(
        400,
        "The idempotency key cannot be used.",
        "Send 1 to 200 printable ASCII characters, such as a UUID.",
    ),
    "idempotency_key_reused": Meaning(
        409,
        "This idempotency key came with another file or another claim before.",
        "Make a new key for each file; send the old one only with the very same request.",
    ),
    "webhook_address_refused": Meaning(
        403,
        "Events may not be sent to this address.",
        "Give an https address of a public host, or ask for its network to be allowed "
        "(HILUM_WEBHOOK_NETWORKS).",
    ),
    "length_required": Meaning(411, "The size of the file was not declared.", "Send a Content-Length."),
    "too_large": Meaning(
        413, "The file is larger than is accepted.", "Upload single images; split a series or a volume."
    ),
    "empty_file": Meaning(400, "The file is empty.", "Export the image again and upload the new copy."),
    "incomplete": Meaning(400, "The upload broke off.", "Upload the file again."),
    "unsupported_media_type": Meaning(
        415, "That kind of body is not accepted.", "See the API's description."
    ),
    "rate_limited": Meaning(429, "Too many requests.", "Wait a moment and try again."),
    "locked_out": Meaning(
        429, "Too many failed sign-ins.", "Wait 15 minutes, or ask an administrator to help."
    ),
    "internal": Meaning(
        500,
        "Something went wrong on our side.",
        "Try again; if it happens again, report the number of this request.",
    ),
    "unavailable": Meaning(503, "A part of the system is down.", "Try again in a few minutes."),
}


class CodedError(Exception):
    """An error with a stable `code`; status, message and remedy come from `CODES` unless given.

    `fields` tells a field's name and what is wrong with it; `members` are added to the problem details.
    Nothing in it may carry patient data.
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        remedy: str | None = None,
        status: int | None = None,
        *,
        fields: dict[str, list[str]] | None = None,
        members: dict[str, str] | None = None,
    ) -> None:
        known = CODES.get(code, CODES["invalid"])
        self.code = code
        self.message = message or known.message
        self.remedy = remedy or known.remedy
        self.status = status or known.status
        self.fields = fields or {}
        self.members = members or {}
        super().__init__(f"{code}: {self.message}")
