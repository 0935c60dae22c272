"""Errors with a stable code for programs, and a message and a remedy for people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    status: int
    message: str
    remedy: str


CODES: dict[str, Meaning] = {
    "invalid": Meaning(400, "The request is not valid.", "Correct the fields listed below."),
    "csrf": Meaning(403, "This page has expired.", "Reload the page and try again."),
    "unauthenticated": Meaning(401, "You are not signed in.", "Sign in, or send a valid token."),
    "forbidden": Meaning(
        403, "Your role does not permit this.", "Ask an administrator of your site for the permission."
    ),
    "insufficient_scope": Meaning(
        403,
        "The token lacks a required scope.",
        "Create a token with: manage.py create_token USER --scope ….",
    ),
    "above_own_rights": Meaning(
        403,
        "The role has permissions that yours does not have.",
        "Ask somebody who has them, or a superuser.",
    ),
    "last_admin": Meaning(
        409,
        "Nobody else at the site may manage its users.",
        "Give another active member such a role first.",
    ),
    "member_elsewhere": Meaning(
        409,
        "The account is a member of other sites too.",
        "Remove it from your site, or ask a superuser to deactivate it.",
    ),
    "confirmation_needed": Meaning(
        403,
        "Confirm your password first.",
        "Open your account, Confirm, enter your password, then try again.",
    ),
    "adjudicator_is_reader": Meaning(
        403,
        "You have labelled this case yourself, so you cannot decide it.",
        "Ask another person who may adjudicate.",
    ),
    "no_site": Meaning(
        403, "Your account does not belong to a site.", "Ask an administrator to add you to a site."
    ),
    "not_found": Meaning(404, "Not found.", "Check the address, or go back to the worklist."),
    "method_not_allowed": Meaning(
        405, "This address does not support the method.", "See the API reference for supported methods."
    ),
    "not_acceptable": Meaning(406, "The requested format is not available.", "Request application/json."),
    "conflict": Meaning(409, "Someone else has changed this in the meantime.", "Reload the page."),
    "patient_conflict": Meaning(
        409,
        "This file is already assigned to another patient.",
        "Check the patient ID. If the earlier patient is wrong, move the scan on its page.",
    ),
    "metadata_invalid": Meaning(
        400,
        "The values entered for patient, study or file are not valid.",
        "Correct them and try again.",
    ),
    "preference_unknown": Meaning(400, "There is no such preference.", "Use one of the known keys."),
    "preference_invalid": Meaning(400, "The value of the preference is not valid.", "Use a listed value."),
    "key_taken": Meaning(
        409, "The key belongs to another action.", "Choose another key, or free this one first."
    ),
    "read_first": Meaning(
        409,
        "The result is hidden until you have stated a first impression.",
        "State it on the scan page.",
    ),
    "finding_missing": Meaning(400, "No finding is selected.", "Select at least one finding, then sign."),
    "findings_contradict": Meaning(
        400,
        "The selected findings contradict each other.",
        "Normal and Non-diagnostic can only be selected alone.",
    ),
    "description_missing": Meaning(
        400, "The other finding is not described.", "Describe it in the impression."
    ),
    "text_invalid": Meaning(400, "The text is not valid.", "Shorten it."),
    "reason_missing": Meaning(400, "A reason is required.", "Enter a short reason."),
    "cursor_invalid": Meaning(
        400, "The cursor does not belong to this list.", "Use the `next` value of a response unchanged."
    ),
    "not_ready": Meaning(
        409, "There is no result yet.", "Wait until the analysis is complete, then try again."
    ),
    "artifact_damaged": Meaning(
        409, "The model file is missing or damaged.", "Register the model file again."
    ),
    "promotion_gate_failed": Meaning(
        409,
        "The candidate failed the promotion gate.",
        "Read the reasons. Run the comparison again, or override the promotion gate with a reason.",
    ),
    "nothing_labelled": Meaning(
        409, "There are no labelled scans to train on.", "Label scans or import labels, then try again."
    ),
    "too_few_labels": Meaning(
        409, "There are too few labelled scans for this.", "Label more scans, then try again."
    ),
    "data_unchanged": Meaning(
        409,
        "The data have not changed since the last training run.",
        "Label more scans, or change the training options.",
    ),
    "precondition_failed": Meaning(
        412, "The resource has changed since you read it.", "Get it again, then repeat the request."
    ),
    "idempotency_key_invalid": Meaning(
        400,
        "The idempotency key is not valid.",
        "Send 1 to 200 printable ASCII characters, such as a UUID.",
    ),
    "idempotency_key_reused": Meaning(
        409,
        "This idempotency key was used for a different request.",
        "Use a new key for each file. Reuse a key only to repeat the identical request.",
    ),
    "webhook_address_refused": Meaning(
        403,
        "Events cannot be sent to this address.",
        "Use an https address of a public host, or have its network allowed (HILUM_WEBHOOK_NETWORKS).",
    ),
    "length_required": Meaning(411, "The file size was not declared.", "Send a Content-Length header."),
    "too_large": Meaning(
        413, "The file exceeds the size limit.", "Upload single images; split a series or volume."
    ),
    "empty_file": Meaning(400, "The file is empty.", "Export the image again and upload the new copy."),
    "incomplete": Meaning(400, "The upload was interrupted.", "Upload the file again."),
    "unsupported_media_type": Meaning(
        415, "The content type of the request is not supported.", "See the API reference."
    ),
    "rate_limited": Meaning(429, "Too many requests.", "Wait a moment and try again."),
    "locked_out": Meaning(
        429, "Too many failed sign-ins.", "Wait 15 minutes, or ask an administrator for help."
    ),
    "internal": Meaning(
        500,
        "An internal error occurred.",
        "Try again. If the error persists, report the request ID to your administrator.",
    ),
    "backup_running": Meaning(
        409, "A backup is running.", "Wait until it is complete, or stop it, then try again."
    ),
    "disk_full": Meaning(
        503,
        "The disk is nearly full: no files are accepted.",
        "Try again later. An administrator has to free space in HILUM_DATA (see HILUM_DISK_FLOOR).",
    ),
    "queue_full": Meaning(
        503,
        "Too many files wait to be processed.",
        "Try again later. An administrator should check the ingest workers (see HILUM_MAX_WAITING).",
    ),
    "upload_quota": Meaning(
        429,
        "The upload quota is used up.",
        "Wait as long as Retry-After states, or ask an administrator for a higher quota.",
    ),
    "unavailable": Meaning(503, "A part of the system is unavailable.", "Try again in a few minutes."),
}


class CodedError(Exception):
    """An error with a stable `code`; status, message and remedy come from `CODES` unless given.

    `fields` maps a field's name to its problems; `members` are added to the problem details; `retry_after`:
    seconds after which the same request may succeed. None of it may contain patient data.
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
        retry_after: int | None = None,
    ) -> None:
        known = CODES.get(code, CODES["invalid"])
        self.code = code
        self.message = message or known.message
        self.remedy = remedy or known.remedy
        self.status = status or known.status
        self.fields = fields or {}
        self.members = members or {}
        self.retry_after = retry_after
        super().__init__(f"{code}: {self.message}")
