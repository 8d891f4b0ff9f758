"""Sqitch projects for these tests, written into a directory line by line as a person would."""

from __future__ import annotations

from pathlib import Path

PLANNER = "Ann Lee <ann@example.org>"

COMPANIES = """CREATE TABLE companies (
    tenant_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CHECK (tenant_id = id)
);"""
TICKETS = """CREATE TABLE tickets (
    tenant_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    company_id {uuid} NOT NULL,
    subject text NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, company_id) REFERENCES companies (tenant_id, id)
);"""
NOTES = """CREATE TABLE notes (
    tenant_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    ticket_id {uuid} NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, ticket_id) REFERENCES tickets (tenant_id, id)
);"""


class Project:
    """A project on disk that a test adds changes to."""

    def __init__(self, folder: Path, engine: str, *, conf: str = "", uri: str = "https://Example.org/helpdesk") -> None:
        self.folder = folder
        self.engine = engine
        self._day = 0
        for kind in ("deploy", "revert", "verify"):
            (folder / kind).mkdir(parents=True)
        (folder / "sqitch.conf").write_text(f"[core]\n\tengine = {engine}\n{conf}")
        (folder / "sqitch.plan").write_text(f"%syntax-version=1.0.0\n%project=helpdesk\n%uri={uri}\n\n")

    def change(
        self,
        name: str,
        deploy: str,
        revert: str = "",
        verify: str | None = None,
        *,
        needs: str = "",
        whole: bool = True,
        note: str = "Adds it",
    ) -> None:
        """Appends a change; its scripts are transactions of their own unless *whole* is False."""
        self._line(f"{name}{f' [{needs}]' if needs else ''}", note)
        self.write("deploy", name, deploy, whole=whole)
        self.write("revert", name, revert, whole=whole)
        if verify is not None:
            self.write("verify", name, verify, end="ROLLBACK")

    def write(self, kind: str, name: str, sql: str, *, whole: bool = True, end: str = "COMMIT") -> None:
        """Writes one script."""
        uuid = "uuid" if self.engine == "pg" else "CHAR(32)"
        text = sql.replace("{uuid}", uuid)
        framed = f"BEGIN;\n\n{text}\n\n{end};\n" if whole else f"{text}\n"
        (self.folder / kind / f"{name}.sql").write_text(
            f"-- {kind.title()} helpdesk:{name} to {self.engine}\n\n{framed}"
        )

    def tag(self, name: str, note: str = "Released") -> None:
        """Appends a tag."""
        self._line(f"@{name}", note)

    def rework(self, name: str, tag: str, deploy: str, revert: str, verify: str) -> None:
        """Appends a change of a name that the plan has already, after *tag*, as ``sqitch rework`` does."""
        for kind in ("deploy", "revert", "verify"):
            old = self.folder / kind / f"{name}.sql"
            old.rename(self.folder / kind / f"{name}@{tag}.sql")
        self.change(name, deploy, revert, verify, needs=f"{name}@{tag}", note="Reworks it")

    def _line(self, what: str, note: str) -> None:
        self._day += 1
        with (self.folder / "sqitch.plan").open("a") as plan:
            plan.write(f"{what} 2024-03-{self._day:02}T10:20:30Z {PLANNER} # {note}\n")


def helpdesk(folder: Path, engine: str, *, conf: str = "") -> Project:
    """Returns a project of seven changes: dependencies, a conflict, two tags, a rework and a script without BEGIN."""
    project = Project(folder, engine, conf=conf)
    project.change("companies", COMPANIES, "DROP TABLE companies;", "SELECT name FROM companies WHERE FALSE;")
    project.change(
        "tickets", TICKETS, "DROP TABLE tickets;", "SELECT subject FROM tickets WHERE FALSE;", needs="companies"
    )
    project.tag("v1")
    project.change(
        "overview",
        "CREATE VIEW overview AS SELECT id FROM tickets;",
        "DROP VIEW overview;",
        "SELECT id FROM overview WHERE FALSE;",
        needs="tickets@v1 !legacy:tickets",
    )
    project.change("notes", NOTES, "DROP TABLE notes;", "SELECT text FROM notes WHERE FALSE;", needs="tickets")
    project.tag("v2-rc1", "Nearly \\n there")
    project.tag("v2")
    project.rework(
        "overview",
        "v2-rc1",
        "DROP VIEW overview; CREATE VIEW overview AS SELECT id, subject FROM tickets;",
        "DROP VIEW overview; CREATE VIEW overview AS SELECT id FROM tickets;",
        "SELECT id, subject FROM overview WHERE FALSE;",
    )
    project.change(
        "subjects",
        "CREATE INDEX tickets_subject ON tickets (tenant_id, subject);\n\n"
        "CREATE INDEX notes_text ON notes (tenant_id, text);",
        "DROP INDEX tickets_subject;\nDROP INDEX notes_text;",
        _index_verify(engine),
        needs="tickets notes",
        whole=False,
    )
    return project


def _index_verify(engine: str) -> str:
    if engine == "pg":
        return (
            "SELECT 1 / count(*) FROM pg_indexes\n"
            "WHERE indexname = 'notes_text' AND schemaname = ANY(current_schemas(true));"
        )
    return (
        "SELECT CASE count(*) WHEN 1 THEN 1 ELSE abs(-9223372036854775807 - 1) END\n"
        "FROM sqlite_master WHERE name = 'notes_text';"
    )
