"""Workspaces to try the meetings on: made up, or out of real calls and meetings; the same ones each time."""

from __future__ import annotations

import datetime
import random
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tenantry.packs.meetings.models import CRMConnection, User
from tenantry.packs.meetings.sessions import AccountMapping, MeetingSession
from tenantry.packs.meetings.words import CRMProvider, PlanTier, ProcessingStatus, Sentiment
from tenantry.packs.meetings.workspaces import SLACK_TEAM
from tenantry.samples import Sample

_NAMESPACE: Final = uuid.UUID("5f3c1a52-8f0f-5b7e-9a53-3f2d6d1c7e10")
# Monday morning, a fixed one, so that the same samples come out each time.
FIRST: Final = datetime.datetime(2026, 3, 2, 9, tzinfo=datetime.UTC)

_NAMES: Final = ("Alder", "Birch", "Cedar", "Elm", "Hazel", "Larch", "Maple", "Oak", "Pine", "Rowan")
_KINDS: Final = ("Software", "Logistics", "Foods", "Energy", "Media")
_PEOPLE: Final = ("Ann", "Bo", "Cy", "Dee", "Eli", "Fay", "Gus")
_CLIENTS: Final = ("globex", "initech", "umbra", "hooli", "vandelay", "acme", "stark", "wonka")
_SUBJECTS: Final = ("Kick-off", "Weekly", "Demo", "Renewal", "Review", "Onboarding", "Budget")


@dataclass
class Team:
    """A workspace that is being filled."""

    slug: str
    name: str
    plan_tier: str = PlanTier.PRO
    provider: str = CRMProvider.HUBSPOT
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    meetings: list[dict[str, Any]] = field(default_factory=list)
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def key(self, *words: object) -> uuid.UUID:
        """Returns the id of a thing of this workspace, always the same."""
        return uuid.uuid5(_NAMESPACE, "/".join([self.slug, *map(str, words)]))

    def user(self, name: str, *, email: str | None = None, role: str = "member") -> uuid.UUID:
        """Returns the id of the user with this name, who comes in where there is none."""
        made = self.key("user", name)
        known = {"id": made, "slack_user_id": _slack("U", made), "slack_display_name": name, "slack_email": email}
        self.users.setdefault(name, {**known, "role": role, "created_at": FIRST, "updated_at": FIRST})
        return made

    def meeting(self, name: str, at: datetime.datetime, **values: Any) -> None:
        """Adds a meeting; what says nothing else has not been processed."""
        times = {"created_at": at, "updated_at": at, "started_at": at}
        self.meetings.append({"id": self.key("meeting", name), "fathom_meeting_id": name, **times, **values})

    def account(self, domain: str, account_id: str, name: str, **values: Any) -> None:
        """Adds what is known of a domain."""
        made = {"id": self.key("account", domain), "crm_connection_id": self.connection, "email_domain": domain}
        times = {"created_at": FIRST, "updated_at": FIRST}
        self.accounts[domain] = {**made, "crm_account_id": account_id, "crm_account_name": name, **times, **values}

    @property
    def connection(self) -> uuid.UUID:
        """The id of the workspace's CRM."""
        return self.key("connection")

    def sample(self) -> Sample:
        """Returns the workspace, ready to be loaded."""
        team = _slack("T", self.key())
        connection = {
            "id": self.connection,
            "provider_type": self.provider,
            "credentials_secret_id": f"env:MEETINGS_{self.slug.upper().replace('-', '_')}",
            "is_default": True,
            "created_at": FIRST,
            "updated_at": FIRST,
        }
        return Sample(
            self.slug,
            self.name,
            record={"slack_team_id": team, "slack_team_name": self.name, "plan_tier": self.plan_tier},
            identities=[(SLACK_TEAM, team)],
            rows={
                User: list(self.users.values()),
                CRMConnection: [connection],
                AccountMapping: list(self.accounts.values()),
                MeetingSession: _alike(self.meetings),
            },
        )


def generated(*, tenants: int = 3, rows: int = 50, seed: int = 1) -> list[Sample]:
    """Returns so many workspaces with so many meetings each."""
    chosen = random.Random(seed)  # noqa: S311  # samples, not secrets
    return [_generated(number, rows, chosen).sample() for number in range(tenants)]


def read(directory: str | Path) -> list[Sample]:
    """Returns the workspaces of the real calls and meetings below *directory*; none where there are no such files."""
    from tenantry.packs.meetings import samples_real  # noqa: PLC0415  # it stands on this module

    return [team.sample() for team in samples_real.teams(Path(directory))]


def _generated(number: int, rows: int, chosen: random.Random) -> Team:
    name = f"{_NAMES[number % len(_NAMES)]} {_KINDS[number % len(_KINDS)]}"
    more = f" {number // len(_NAMES) + 1}" if number >= len(_NAMES) else ""
    slug = f"{name}{more}".lower().replace(" ", "-")
    tiers, providers = list(PlanTier), list(CRMProvider)
    team = Team(slug, f"{name}{more}", tiers[number % len(tiers)], providers[number % len(providers)])
    people = [team.user(who, email=f"{who.lower()}@{slug}.example", role=_role(who)) for who in _PEOPLE]
    for client in _CLIENTS:
        known = chosen.random() < 0.5
        team.account(f"{client}.example", f"{client}-{number}", client.title(), is_verified=known)
    for count in range(rows):
        _meet(team, count, chosen.choice(people), chosen)
    return team


def _meet(team: Team, count: int, user: uuid.UUID, chosen: random.Random) -> None:
    client, subject = chosen.choice(_CLIENTS), chosen.choice(_SUBJECTS)
    status = chosen.choices(list(ProcessingStatus), [2, 1, 16, 1])[0]
    done = status is ProcessingStatus.COMPLETED
    at = FIRST + datetime.timedelta(hours=3 * count)
    results = {
        "ai_summary": f"{subject} with {client.title()}: they will decide within {chosen.randint(1, 6)} weeks.",
        "action_items": [f"Send {client.title()} the offer"],
        "sentiment": chosen.choice(list(Sentiment)),
        "ai_model": "m-1",
        "tokens_used": chosen.randint(500, 5_000),
        "processed_at": at + datetime.timedelta(hours=1),
    }
    failed = {"processing_error": "There is no transcript."} if status is ProcessingStatus.FAILED else {}
    team.meeting(
        f"m-{count}",
        at,
        title=f"{subject} {client.title()}",
        user_id=user,
        processing_status=status,
        duration_seconds=60 * chosen.randint(10, 90),
        participants=[{"name": "Guest", "email": f"guest@{client}.example"}],
        **(results if done else failed),
    )


def _role(who: str) -> str:
    return "admin" if who == _PEOPLE[0] else "member"


def _slack(kind: str, key: uuid.UUID) -> str:
    return f"{kind}{key.hex[:10].upper()}"


def _alike(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the rows with the same columns each, as an insert of many wants them."""
    made = list(rows)
    lists: dict[str, list[Any]] = {name: [] for name in ("participants", "action_items", "key_points")}
    names = {name: None for row in made for name in row}
    defaults = {**names, **lists, "processing_status": "pending", "crm_sync_status": "none", "tokens_used": 0}
    return [{**defaults, **row} for row in made]
