"""Real workspaces: sales calls by company, recorded meetings with their summaries, and the customers of a trader."""

from __future__ import annotations

import csv
import datetime
import gzip
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tenantry.packs.meetings.samples import FIRST, Team
from tenantry.packs.meetings.words import CRMProvider, PlanTier, ProcessingStatus

_CALLS: Final = "sales_calls.csv.gz"
_MEETINGS: Final = "meetings_qmsum_product_committee.jsonl.gz"
_TRADER: Final = "northwind.sql.gz"
_LONGEST: Final = 240
# One value of a row in SQL: a text in quotes, or a word.
_VALUE: Final = re.compile(r"'((?:[^']|'')*)'|([^,()\s]+)")
_ROW: Final = re.compile(r"INSERT INTO (\w+) VALUES \((.*)\);\s*")


def teams(directory: Path) -> Iterator[Team]:
    """Yields the workspaces of the files that are in *directory*, or in its folder ``crm``."""
    for folder in (directory, directory / "crm"):
        for name, read in ((_CALLS, _calls), (_MEETINGS, _meetings), (_TRADER, _trader)):
            if (folder / name).is_file():
                with gzip.open(folder / name, "rt", encoding="utf-8", newline="") as lines:
                    yield from read(lines)


def _calls(lines: Iterator[str]) -> Iterator[Team]:
    turns = csv.DictReader(lines)
    for company, of_company in itertools.groupby(turns, key=lambda turn: turn["company"]):
        team = Team(company, company.replace("-", " ").title(), provider=CRMProvider.SALESFORCE)
        seller = team.user("Sales Rep", email=f"sales@{company}.example", role="admin")
        for number, of_call in itertools.groupby(of_company, key=lambda turn: int(turn["call_no"])):
            said = list(of_call)
            team.meeting(
                f"call-{number}",
                FIRST + datetime.timedelta(days=number),
                title=f"Sales call {number}",
                user_id=seller,
                transcript_ref=f"{_CALLS}#{company}/{number}",
                participants=[{"name": name} for name in _speakers(turn["speaker"] for turn in said)],
                key_points=[turn["text"][:_LONGEST] for turn in said if turn["speaker"] == "Customer"][:3],
            )
        yield team


def _meetings(lines: Iterator[str]) -> Iterator[Team]:
    found: dict[str, Team] = {}
    for count, line in enumerate(lines):
        meeting = json.loads(line)
        domain = meeting["domain"]
        team = found.setdefault(domain, Team(f"{domain.lower()}-meetings", f"{domain} meetings", PlanTier.ENTERPRISE))
        speakers = _speakers(name for name, _ in meeting["turns"])
        chair = team.user(speakers[0]) if speakers else team.user("Unknown")
        _recorded(team, meeting, FIRST + datetime.timedelta(hours=count), chair=chair, speakers=speakers)
    yield from found.values()


def _recorded(
    team: Team, meeting: dict[str, Any], at: datetime.datetime, *, chair: object, speakers: Sequence[str]
) -> None:
    summary = next((each["a"] for each in meeting["summaries"]), None)
    words = sum(len(text.split()) for _, text in meeting["turns"])
    done = {
        "processing_status": ProcessingStatus.COMPLETED,
        "ai_summary": summary,
        "ai_model": "written by people",
        "tokens_used": words,
        "processed_at": at + datetime.timedelta(hours=1),
    }
    team.meeting(
        meeting["meeting"],
        at,
        title=f"{meeting['domain']} {meeting['meeting']}",
        user_id=chair,
        transcript_ref=f"{_MEETINGS}#{meeting['meeting']}",
        participants=[{"name": name} for name in speakers],
        key_points=meeting["topics"],
        **(done if summary else {}),
    )


def _trader(lines: Iterator[str]) -> Iterator[Team]:
    team = Team("northwind", "Northwind Traders", provider=CRMProvider.CRONO)
    for line in lines:
        row = _ROW.fullmatch(line.rstrip("\n"))
        if row is None:
            continue
        values = _values(row[2])
        if row[1] == "customers":
            domain = f"{values[0].lower()}.northwind.example"
            team.account(domain, values[0], values[1], is_verified=True, source="manual")
        elif row[1] == "employees":
            email = f"{values[2]}.{values[1]}@northwind.example".lower()
            team.user(f"{values[2]} {values[1]}", email=email, role="admin" if values[0] == "2" else "member")
    yield team


def _values(text: str) -> list[str]:
    return [quoted.replace("''", "'") or word for quoted, word in _VALUE.findall(text)]


def _speakers(names: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(names))
