"""The meetings in every cell: two workspaces with the same people, and sessions of one of them through each door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cells import CELLS, SYNC_PLACES, Place

from tenantry import TenantSession
from tenantry.packs import meetings
from tenantry.packs.meetings import AccountMapping, CRMConnection, Meetings, MeetingsBase, MeetingSession, Note, User

from .. import ground
from ..ground import Bound

# Where a door makes no difference each cell once; where it might, each driver once more.
PLACES = [
    *SYNC_PLACES,
    Place("postgresql-schema", "psycopg"),
    Place("postgresql-rows", "asyncpg"),
    Place("sqlite-file", "aiosqlite"),
]


class Book:
    """A CRM that remembers the notes it was given; what is in *refusing* it raises, once each."""

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.refusing: list[Exception] = []

    def write_note(self, note: Note) -> str:
        if self.refusing:
            raise self.refusing.pop()
        self.notes.append(note)
        return f"note-{len(self.notes)}"


class Room(ground.Desk):
    """A session of one workspace."""

    names = meetings

    def service(self, name: str) -> Any:
        """Returns the pack's service called so, bound to the session, or its awaited face behind the same spelling."""
        return Bound(self.plain(getattr(self.pack.aio if self.awaited else self.pack, name)), self.session)


class Ground(ground.Ground):
    """In each cell ``acme-<cell>``, whom the tests are, and ``rival-<cell>``, the neighbour."""

    sides = ("acme", "rival")
    door = Room

    def __init__(self, server: Any, directory: Path) -> None:
        self.book = Book()
        super().__init__(
            server, directory, MeetingsBase, lambda tenancy: Meetings(tenancy, crms={"hubspot": self.book})
        )

    def settle(self, place: Place, side: str) -> None:
        pack, team = self.pack(place), team_of(side, place)
        more = {"plan_tier": "pro", "isolation": CELLS[place.cell]}
        tenant = pack.workspaces.install(team, side.title(), **more)
        pack.tenancy.tenants.rename(tenant, self.key(place, side))
        with pack.tenancy.transaction(tenant) as session:
            user = User(slack_user_id="U1", slack_email=f"ann@{side}.example", role="admin")
            session.add(user)
            connection = pack.connections.connect(
                session, "hubspot", "env:MEETINGS_TEST_TOKEN", connected_by_user_id=user.id, connection_name=side
            )
            session.add_all(
                [
                    AccountMapping(
                        crm_connection_id=connection.id, email_domain="Globex.example", crm_account_id=f"{side}-globex"
                    ),
                    MeetingSession(fathom_meeting_id="f-1", title=f"Kick-off of {side}", user_id=user.id),
                ]
            )


def team_of(side: str, place: Place) -> str:
    return f"T{side}{place.cell}".upper().replace("-", "")


def connection_of(session: TenantSession) -> CRMConnection:
    found = session.query(CRMConnection).one()
    assert isinstance(found, CRMConnection)
    return found
