"""``tenantry install`` on PostgreSQL: the script that a DBA runs, logins, and that no secret is printed."""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
import pytest


def secrets_of(program):
    urls = [value for name, value in program.environment.items() if name.endswith("_URL")]
    return {urlsplit(url).password for url in urls}


def test_installing_twice_says_where(postgres_shop):
    result = postgres_shop.call("install", "--json")
    assert result.code == 0
    assert [server["name"] for server in result.data["servers"]] == ["main"]
    assert "Installed" in postgres_shop.call("install").said


def test_the_script_does_what_install_does(program, postgres):
    """Run by a DBA in an empty database it leaves nothing for the doctor to find."""
    database = postgres.create_database()
    url = postgres.url(database)
    program.environment |= {"TENANTRY_URL": url, "TENANTRY_OWNER_URL": url}
    script = program.call("install", "--sql", "--create-tables")
    assert script.code == 0
    with postgres.admin(database) as connection:
        assert connection.execute("SELECT count(*) FROM pg_policy").fetchone() == (0,)
        connection.execute(script.out)
    statements = program.call("install", "--sql", "--create-tables", "--json").data
    assert "CREATE POLICY" in "\n".join(statements)
    name = f"{program.prefix}_web"
    program.environment["TENANTRY_URL"] = program.call("install", "--login", name).out.strip()
    found = program.call("doctor", "--json").data["findings"]
    postgres.drop_database(database)
    with postgres.admin() as connection:
        for role in [name, *(f"{program.prefix}_{kind}" for kind in ("owner", "operator", "platform", "app"))]:
            connection.execute(f"DROP ROLE IF EXISTS {role}")
    assert [finding for finding in found if finding["code"] != "D701"] == []


def test_a_login_is_told_once_and_works(postgres_shop):
    name = f"{postgres_shop.prefix}_app_login"
    made = postgres_shop.call("install", "--login", name, "--json").data
    assert (made["login"], made["role"]) == (name, "app")
    with psycopg.connect(made["url"]) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (name,)
    again = postgres_shop.call("install", "--login", name)
    assert again.out.strip() != made["url"]
    assert again.out.count("\n") == 1
    assert "shown this once" in again.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--login", "Not Plain"], "Use a plain lower-case name"),
        (["--login", "x", "--role", "king"], "Invalid value"),
        (["--login", "x", "--sql"], "two different things"),
        (["--sql", "--server", "moon"], "No server named 'moon'"),
    ],
)
def test_a_mistake_is_one_sentence(postgres_shop, arguments, sentence):
    result = postgres_shop.call("install", *arguments)
    assert result.code == 2
    assert sentence in result.said
    assert "Traceback" not in result.said


def test_without_the_owner(postgres_shop):
    del postgres_shop.environment["TENANTRY_OWNER_URL"]
    result = postgres_shop.call("install")
    assert result.code == 2
    assert "TENANTRY_OWNER_URL" in result.said


def test_models_that_cannot_be_walled_are_refused_with_all_reasons(shop):
    path = shop.directory / f"{shop.module}.py"
    bad = "class Bad(Base):\n    __tablename__ = 'bad'\n    id: Mapped[int] = mapped_column(primary_key=True)\n\n"
    path.write_text(path.read_text().replace("tenancy =", f"{bad}tenancy ="))
    result = shop.call("install")
    assert result.code == 2
    assert "does not say whose it is" in result.said
    assert "Traceback" not in result.said


def test_no_secret_is_printed(postgres_shop):
    calls = [
        ["install"],
        ["install", "--sql"],
        ["install", "--json"],
        ["tenants", "create", "acme", "--isolation", "schema"],
        ["tenants", "list"],
        ["tenants", "show", "acme", "--json"],
        ["doctor"],
        ["doctor", "--json"],
        ["shell", "acme", "-c", "print(repr(tenancy), repr(db), repr(tenant), tenancy.servers.main)"],
        ["shell", "acme", "-c", "raise ValueError(repr(db.get_bind()))"],
        ["tenants", "erase", "acme", "--confirm", "acme"],
    ]
    said = " ".join(postgres_shop.call(*arguments).said for arguments in calls)
    assert "acme is erased" in said
    assert not [secret for secret in secrets_of(postgres_shop) if secret in said]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://app:hush-hush@127.0.0.1:1/saas", "Nothing listens at 127.0.0.1:1."),
        ("postgresql://app:hush-hush@no-such-host.invalid/saas", "The host of the URL is not known."),
        ("postgresql://app:hush-hush@[::1/saas", "The database URL cannot be read."),
        ("postgresql://app:p@hush-hush@127.0.0.1/saas", "has a bare '@' in user or password"),
        ("postgresql://nobody_here:hush-hush@{address}/{database}", "refused the login nobody_here"),
        ("{owner}_missing", "has no such database"),
    ],
)
def test_a_server_that_does_not_let_us_in(program, postgres, url, sentence):
    parts = urlsplit(postgres.url())
    address = parts.netloc.rpartition("@")[2]
    program.environment["TENANTRY_URL"] = url.format(address=address, database="postgres", owner=postgres.url())
    program.environment["TENANTRY_OWNER_URL"] = program.environment["TENANTRY_URL"]
    for command in (["install"], ["tenants", "list"]):
        result = program.call(*command)
        assert result.code in (1, 2)
        assert sentence in result.said
        assert "Traceback" not in result.said
        assert "hush" not in result.said
        assert (parts.password or "none") not in result.said
