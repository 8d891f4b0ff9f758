"""Sample rows of incidents: made up, or read from event logs of permits and of job applications; always the same."""

from __future__ import annotations

import csv
import datetime
import gzip
import random
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from tenantry.packs.incidents.models import Action, Decision, Event, Incident, Workflow
from tenantry.packs.incidents.signatures import is_failure, signature_of, title_of
from tenantry.packs.incidents.states import ActionStatus, ActionType, IncidentStatus, Severity
from tenantry.samples import Row, Sample

_NAMES: Final = uuid.UUID("9b0d6f0e-3c5e-5a51-9b8e-5d7c1f0c2a44")
_BEGINNING: Final = datetime.datetime(2026, 1, 5, 8, tzinfo=datetime.UTC)
_COMPANIES: Final = ("Northwind", "Contoso", "Fabrikam", "Initech", "Globex", "Umbrella", "Hooli", "Acme")
_WORKFLOWS: Final = {
    "invoice-sync": ("invoice.sent", "invoice.failed", "ledger_refused"),
    "payment-run": ("payment.captured", "payment.failed", "card_declined"),
    "order-import": ("order.imported", "order.rejected", "unknown_article"),
    "mail-digest": ("mail.sent", "mail.timeout", "smtp_timeout"),
}
# How far the incidents of a sample have come, one after the other.
_STATUSES: Final = (*IncidentStatus, IncidentStatus.RESOLVED)
_DECIDED: Final = (IncidentStatus.ANALYZING, IncidentStatus.ACTIONED, IncidentStatus.RESOLVED)
_DONE: Final = {IncidentStatus.ACTIONED: ActionStatus.PENDING, IncidentStatus.RESOLVED: ActionStatus.SUCCEEDED}
_SEVERITIES: Final = ((200, Severity.CRITICAL), (40, Severity.HIGH), (5, Severity.MEDIUM), (0, Severity.LOW))

_PERMITS: Final = "receipt_permits.csv.gz"
_HIRING: Final = "hiring_events.csv.gz"
# What a step of a permit says of how it went, by words of its name.
_WENT_WRONG: Final = {"adjust": "reworked", "hold": "held", "unlicensed": "unlicensed", "stop indication": "stopped"}
_ALWAYS: Final = ("T10", "T06")


def generated(*, tenants: int = 3, rows: int = 300) -> list[Sample]:
    """Returns so many tenants with so many events each, made up, and what rises from those."""
    return [_generated(number, rows) for number in range(tenants)]


def read(directory: Path | str) -> list[Sample]:
    """Returns the event logs in *directory*: permits, one tenant for each way they came in, and job applications.

    What is not there is left out.
    """
    where = Path(directory) / "workflow"
    permits = _permits(where / _PERMITS) if (where / _PERMITS).exists() else []
    return [*permits, *([_hiring(where / _HIRING)] if (where / _HIRING).exists() else [])]


def _generated(number: int, rows: int) -> Sample:
    name = _COMPANIES[number % len(_COMPANIES)]
    slug = f"{name.lower()}-{number // len(_COMPANIES) + 1}"
    chance = random.Random(number)  # noqa: S311  # the same rows each time
    events = []
    for count in range(rows):
        workflow = chance.choice(list(_WORKFLOWS))
        well, badly, code = _WORKFLOWS[workflow]
        failed = chance.random() < 0.15
        at = _BEGINNING + datetime.timedelta(minutes=7 * count + chance.randrange(5))
        payload = {"error_code": code, "attempt": chance.randrange(1, 4)} if failed else {"items": chance.randrange(99)}
        told = {"event_type": badly if failed else well, "payload": payload, "occurred_at": at}
        events.append(_event(slug, workflow, f"run-{count // 3}", str(count), told))
    return _sample(slug, name, list(_WORKFLOWS), events)


def _permits(path: Path) -> list[Sample]:
    lines = sorted(_lines(path), key=lambda line: (line["case:channel"], line["case:concept:name"]))
    return [_permits_of(way, list(group)) for way, group in groupby(lines, key=lambda line: line["case:channel"])]


def _permits_of(way: str, lines: Sequence[Mapping[str, str]]) -> Sample:
    slug = f"permits-{_words(way, '-')}"
    events = [_permit(slug, number, line) for number, line in enumerate(lines)]
    return _sample(slug, f"Permits by {way}", sorted({line["case:department"] for line in lines}), events)


def _permit(slug: str, number: int, line: Mapping[str, str]) -> Row:
    step, at = line["concept:name"], datetime.datetime.fromisoformat(line["time:timestamp"])
    payload = {"step": step, "group": line["org:group"], "resource": line["org:resource"]}
    if (code := _wrong_with(step)) is not None:
        payload["error_code"] = code
    elif line["case:deadline"] and at > datetime.datetime.fromisoformat(line["case:deadline"]):
        payload["error_code"] = "deadline_passed"
    kind = f"permit.{_words(re.sub(r'^T[0-9-]+ ', '', step), '_')}"
    told = {"event_type": kind, "payload": payload, "occurred_at": at.astimezone(datetime.UTC)}
    return _event(slug, line["case:department"], line["case:concept:name"], str(number), told)


def _wrong_with(step: str) -> str | None:
    if step.startswith(_ALWAYS):
        return None
    return next((code for word, code in _WENT_WRONG.items() if word in step.lower()), None)


def _hiring(path: Path) -> Sample:
    slug, workflow, events = "hiring", "applications", []
    for case, group in groupby(_lines(path), key=lambda line: line["case_id"]):
        before = "nothing"
        for number, line in enumerate(group):
            step = line["concept_name"]
            kind = "application.rejected" if step == "Application Rejected" else f"application.{_words(step, '_')}"
            at = datetime.datetime.fromisoformat(line["time_timestamp"]).astimezone(datetime.UTC)
            told = {"event_type": kind, "payload": {"step": before}, "occurred_at": at}
            events.append(_event(slug, workflow, f"application-{case}", f"{case}-{number}", told))
            before = step
    return _sample(slug, "Hiring", [workflow], events)


def _lines(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _words(text: str, joint: str) -> str:
    return re.sub(r"[^a-z0-9]+", joint, text.lower()).strip(joint)


def _sample(slug: str, name: str, workflows: Iterable[str], events: Sequence[Row]) -> Sample:
    known = [
        {"id": _id(slug, "workflow", each), "name": each, "description": f"{each} of {name}"} for each in workflows
    ]
    rows = {Workflow: known, Event: events, **_risen(slug, events)}
    return Sample(slug, name, record={"name": name}, rows=rows)


def _event(slug: str, workflow: str, correlation: str, key: str, told: Row) -> Row:
    own = {"id": _id(slug, "event", key), "idempotency_key": key, "correlation_id": correlation}
    return {**told, **own, "workflow_id": _id(slug, "workflow", workflow)}


def _risen(slug: str, events: Sequence[Row]) -> dict[type, Sequence[Row]]:
    """Returns the incidents of the failures among events, and what was decided and done about them."""
    failures: dict[str, list[Row]] = {}
    for event in events:
        if is_failure(event["event_type"], event["payload"]):
            signature = signature_of(event["workflow_id"], event["event_type"], event["payload"])
            failures.setdefault(signature, []).append(event)
    incidents = [_incident(slug, number, *found) for number, found in enumerate(sorted(failures.items()))]
    decisions = [_decision(slug, incident) for incident in incidents if incident["status"] in _DECIDED]
    actions = [_action(slug, incident) for incident in incidents if incident["status"] in _DONE]
    return {Incident: incidents, Decision: decisions, Action: actions}


def _incident(slug: str, number: int, signature: str, events: Sequence[Row]) -> Row:
    times, status = sorted(event["occurred_at"] for event in events), _STATUSES[number % len(_STATUSES)]
    first = min(events, key=lambda event: (event["occurred_at"], event["idempotency_key"]))
    payload = first["payload"]
    said = {"message": str(payload.get("error_code") or payload.get("step"))}
    return {
        "id": _id(slug, "incident", signature),
        "signature": signature,
        "title": title_of(first["event_type"], said),
        "status": status.value,
        "severity": next(severity.value for least, severity in _SEVERITIES if len(events) >= least),
        "event_count": len(events),
        "first_seen_at": times[0],
        "last_seen_at": times[-1],
        "created_at": times[0],
        "workflow_id": first["workflow_id"],
        "correlation_id": first["correlation_id"],
        "resolved_at": times[-1] if status is IncidentStatus.RESOLVED else None,
    }


def _decision(slug: str, incident: Row) -> Row:
    return {
        "id": _id(slug, "decision", incident["signature"]),
        "incident_id": incident["id"],
        "decision_type": "retry" if incident["event_count"] < 40 else "escalate",
        "reasoning": f"Seen {incident['event_count']} times since {incident['first_seen_at']:%Y-%m-%d}.",
        "confidence_score": round(1 - 1 / (1 + incident["event_count"]), 3),
        "ai_model": "rules-1",
    }


def _action(slug: str, incident: Row) -> Row:
    status, ended = _DONE[IncidentStatus(incident["status"])], incident["resolved_at"]
    return {
        "id": _id(slug, "action", incident["signature"]),
        "incident_id": incident["id"],
        "decision_id": _id(slug, "decision", incident["signature"]),
        "action_type": (ActionType.RETRY if incident["event_count"] < 40 else ActionType.ESCALATE).value,
        "status": status.value,
        "started_at": ended,
        "finished_at": ended,
        "result": None if ended is None else {"ok": True},
    }


def _id(slug: str, kind: str, name: str) -> uuid.UUID:
    return uuid.uuid5(_NAMES, f"{slug}/{kind}/{name}")
