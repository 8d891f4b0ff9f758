"""Scripts are split as psql and sqlite3 split them, with psql's variables; what only those programs do is refused."""

from __future__ import annotations

import json

import pytest

from tenantry.errors import PlanInvalid, ScriptRefused
from tenantry.fleet.sqitch import lexing_postgres, lexing_sqlite
from tenantry.fleet.sqitch.conf import read_conf
from tenantry.fleet.sqitch.project import Project as Reading

from .command import needs_sqitch, perl
from .projects import Project

VARIABLES = {"v": "it's", "w": "a\\b", "t": "tickets", "two": "1; SELECT 2"}


def postgres(text):
    return [statement.text for statement in lexing_postgres.read_script(text, "x.sql", VARIABLES).statements]


def sqlite(text):
    return [statement.text for statement in lexing_sqlite.read_script(text, "x.sql").statements]


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("", []),
        ("-- nothing; here\n/* nor; /* there; */ ; */;;", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1; SELECT 2;", ["SELECT 1", "SELECT 2"]),
        ("-- why\nSELECT 1 -- how;\n + 2;", ["SELECT 1 -- how;\n + 2"]),
        ("SELECT ';', E'\\';', ';'';' ;", ["SELECT ';', E'\\';', ';'';'"]),
        ('SELECT ";" AS ";"";";', ['SELECT ";" AS ";"";"']),
        ("DO $$BEGIN; END$$; SELECT $q$;$$;$q$, a$b$c;", ["DO $$BEGIN; END$$", "SELECT $q$;$$;$q$, a$b$c"]),
        (
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
            ["CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"],
        ),
        (
            "CREATE OR REPLACE PROCEDURE f() BEGIN ATOMIC SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 2; END; X",
            [
                "CREATE OR REPLACE PROCEDURE f() BEGIN ATOMIC SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 2; END",
                "X",
            ],
        ),
        ("BEGIN; END; SELECT 1", ["BEGIN", "END", "SELECT 1"]),
        ("SELECT :'v', :'w', :\"t\" FROM :t", ["SELECT 'it''s',  E'a\\\\b', \"tickets\" FROM tickets"]),
        ("SELECT :two;", ["SELECT 1", "SELECT 2"]),
        ("SELECT ':t', \":t\", $$:t$$ -- :t\n;", ["SELECT ':t', \":t\", $$:t$$ -- :t"]),
        ("SELECT a[1:n], x::t, :none, :'none', b := 1;", ["SELECT a[1:n], x::t, :none, :'none', b := 1"]),
        ("SELECT :{?t}, :{?none};", ["SELECT TRUE, FALSE"]),
        ("SELECT 1 WHERE $1 = 2; SELECT 3", ["SELECT 1 WHERE $1 = 2", "SELECT 3"]),
    ],
)
def test_postgres_statements(text, statements):
    assert postgres(text) == statements


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("", []),
        ("-- nothing; here\n/* nor; there */;;", []),
        ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';', \";\", `;`, [;] ; X", ["SELECT ';', \";\", `;`, [;]", "X"]),
        (
            "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; SELECT CASE 1 WHEN 1 THEN 2 END; END;\nX",
            ["CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; SELECT CASE 1 WHEN 1 THEN 2 END; END", "X"],
        ),
        ("SELECT 1.5\n.5;", ["SELECT 1.5\n.5"]),
    ],
)
def test_sqlite_statements(text, statements):
    assert sqlite(text) == statements


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("SELECT 1;\n\n\\i other.sql\n", 3, "backslash"),
        ("SELECT 1 \\g\n", 1, "backslash"),
        ("\\set x 1\nSELECT :x", 1, "backslash"),
        ("\n\nCOPY t FROM stdin;\n1\t'\n\\.\n", 3, "COPY"),
        ("COPY (SELECT 1) TO STDOUT;", 1, "COPY"),
        ("SELECT 1;\nSELECT 'it;", 2, "quotation mark"),
        ("SELECT 1;\n\nSELECT $x$ $$ ;", 3, "$x$"),
        ("/* one\n/* two */\nSELECT 1", 1, "comment"),
    ],
)
def test_what_only_psql_does_is_refused_with_its_line(text, line, words):
    with pytest.raises(ScriptRefused) as refused:
        postgres(text)
    assert (refused.value.line, words in str(refused.value)) == (line, True)
    assert str(refused.value).startswith(f"x.sql, line {line}: ")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [("SELECT 1;\n.read other.sql\n", 2, ".name"), (".mode csv", 1, ".name"), ("\nSELECT 'it", 2, "quotation mark")],
)
def test_what_only_sqlite3_does_is_refused_with_its_line(text, line, words):
    with pytest.raises(ScriptRefused) as refused:
        sqlite(text)
    assert (refused.value.line, words in str(refused.value)) == (line, True)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("BEGIN; X; COMMIT;", True),
        ("-- why\nstart transaction isolation level serializable; X; end;", True),
        ("BEGIN; SAVEPOINT s; X; ROLLBACK TO SAVEPOINT s; RELEASE s; COMMIT", True),
        ("BEGIN; CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; COMMIT", True),
        ("X; Y", False),
        ("COMMIT", False),
        ("BEGIN; X; ROLLBACK;", False),
        ("BEGIN; X; COMMIT; Y", False),
        ("X; BEGIN; Y; COMMIT;", False),
        ("BEGIN; X; COMMIT; BEGIN; Y; COMMIT;", False),
        ("BEGIN; X; COMMIT AND CHAIN;", False),
        ("BEGIN; X; COMMIT PREPARED 'y';", False),
        ("BEGIN; X; PREPARE TRANSACTION 'y'; COMMIT", False),
    ],
)
def test_a_whole_script_is_one_transaction(text, whole):
    assert lexing_postgres.read_script(text, "x.sql", {}).whole is whole


CONFS = {
    "plain": '[core]\n\tengine = pg\n# [engine "pg"]\n\t# target = db:pg:\n',
    "subsections": '[core]\nengine=pg ; c\n[engine "pg"]\n  Target = "db:pg:x # y" # z\n  registry = audit\n',
    "variables": '[core "variables"]\nFoo = a  b\nbar="q\\"r\\\\"\n[core.variables]\n baz = x\\ty\\\n z\n',
    "a switch": "[core]\nengine = pg\n[deploy]\nverify = true\n[core]plan_file = a b.plan\n",
    "quotes": '[a "b\\"c"]\nk=it\'s "here \\n "\n',
}


class TestBesideTheProgram:
    pytestmark = needs_sqitch

    @pytest.mark.parametrize("name", CONFS)
    def test_settings_read_alike(self, tmp_path, name):
        (tmp_path / "sqitch.conf").write_text(CONFS[name])
        program = r"""
            use JSON::PP; use App::Sqitch::Config; my $config = App::Sqitch::Config->new; $config->load;
            my %all = $config->dump; my $of = $config->get_section(section => 'core.variables');
            my %kept = map { $_ => $all{$_} } grep { !/variables/ } keys %all;
            print JSON::PP->new->canonical->encode([\%kept, $of]);
        """
        conf = read_conf(tmp_path / "sqitch.conf")
        kept = {key: value for key, value in conf.values.items() if "variables" not in key}
        assert json.loads(perl(tmp_path, program)) == [kept, conf.section("core.variables")]


@pytest.mark.parametrize(
    ("text", "line"), [("engine = pg\n", 1), ("[core]\n\n= x\n", 3), ('[core]\na = "open\n', 2), ("[co re]\n", 1)]
)
def test_settings_that_cannot_be_read(tmp_path, text, line):
    (tmp_path / "sqitch.conf").write_text(text)
    with pytest.raises(PlanInvalid) as refused:
        read_conf(tmp_path / "sqitch.conf")
    assert refused.value.line == line


def test_where_scripts_are(tmp_path):
    conf = '\ttop_dir = db\n\textension = ddl\n\treworked_dir = old\n[engine "pg"]\n\trevert_dir = back\n'
    written = Project(tmp_path / "p", "pg", conf=conf)
    (tmp_path / "p" / "db").mkdir()
    (tmp_path / "p" / "sqitch.plan").rename(tmp_path / "p" / "db" / "sqitch.plan")
    at = "2024-01-02T03:04:05Z A <b@c>"
    (tmp_path / "p" / "db" / "sqitch.plan").write_text(f"%project=p\n\na/b {at}\n@t {at}\na/b [a/b@t] {at}\n")
    project = Reading(written.folder, "pg")
    found = [
        project.file(change, kind).relative_to(written.folder).as_posix()
        for change in project.plan.changes
        for kind in ("deploy", "revert", "verify")
    ]
    assert found == [
        "old/deploy/a/b@t.ddl",
        "old/revert/a/b@t.ddl",
        "old/verify/a/b@t.ddl",
        "db/deploy/a/b.ddl",
        "back/a/b.ddl",
        "db/verify/a/b.ddl",
    ]


def test_variables_come_from_the_settings(tmp_path):
    conf = (
        '[core "variables"]\nwho = all\nwhat = x\n[deploy "variables"]\nwhat = y\n[engine "pg.variables"]\nwho = pg\n'
    )
    written = Project(tmp_path / "p", "pg", conf=conf)
    written.change("a", "SELECT :'who', :'what', :\"registry\";", "SELECT :'what';")
    project = Reading(written.folder, "pg")
    change = project.plan.find("a")
    deploy = project.script(change, "deploy", registry="sqitch_x").statements[1].text
    assert deploy == "SELECT 'pg', 'y', \"sqitch_x\""


def test_a_missing_script_is_named(tmp_path):
    written = Project(tmp_path / "p", "pg")
    written.change("a", "SELECT 1;", "SELECT 1;")
    (written.folder / "deploy" / "a.sql").unlink()
    project = Reading(written.folder, "pg")
    with pytest.raises(ScriptRefused, match=r"deploy/a\.sql.*deploy script of a is missing"):
        project.script(project.plan.find("a"), "deploy")
