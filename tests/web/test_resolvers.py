"""What each resolver hears, and what it does not."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cells import Ground, Place
from sqlalchemy import event
from sqlalchemy.engine import Engine

from tenantry.access import TokenKey, Tokens
from tenantry.errors import (
    ConfigurationError,
    TenantNotFound,
    TenantsDisagree,
    TokenExpired,
    TokenRefused,
)
from tenantry.web import (
    Incoming,
    Said,
    TenancyMiddleware,
    from_header,
    from_jwt,
    from_path,
    from_subdomain,
)
from tenantry.web.entering import Entry
from tenantry.web.incoming import of_environ, of_scope

from .tokens import Awaited, Claims, Signed

TENANCY = Place("sqlite-file", "sync")
NEAR, FAR = "near-sqlite-file", "far-sqlite-file"


def incoming(path: str = "/", **headers: str | tuple[str, ...]) -> Incoming:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Incoming(
        "GET",
        path,
        {name: (value,) if isinstance(value, str) else value for name, value in named.items()},
    )


def entry(ground: Ground, *resolvers: Any, public: Any = ()) -> Entry:
    return Entry(
        ground.tenancy(TENANCY),
        resolvers,
        public=public,
        correlation_header="X-Request-ID",
    )


def found(entered: Entry, asked: Incoming) -> str | None:
    """Returns the slug that both doors find, which is the same one."""
    contexts = [
        entered.context(asked, "x"),
        asyncio.run(entered.context_async(asked, "x")),
    ]
    (slug,) = {context.found.slug if context.found else None for context in contexts}
    return slug


# --- hosts -----------------------------------------------------------------------------------------------------------

GOOD_HOSTS = [
    "acme.example.com",
    "ACME.Example.COM",
    "acme.example.com:8443",
    "a.example.com",
    "a-1.example.com",
]
BAD_HOSTS = [
    ".",
    "example.com",
    "www.example.com",
    "WWW.example.com:80",
    ".example.com",
    "acme.example.com.",
    "acme..example.com",
    "a.b.example.com",
    "acme.example.com.evil.com",
    "acme.evil.com",
    "evil.com/acme.example.com",
    "acme.example.com@evil.com",
    "acmeexample.com",
    "acme@evil.com:x@acme.example.com",
    "acme.examplexcom",
    "-acme.example.com",
    "acme-.example.com",
    "acme_1.example.com",
    "acme.example.com:",
    "acme.example.com:80:80",
    "acme.example.com:abc",
    "acme.example.com:123456",
    "acme.example.com:-1",
    "acme%2eexample.com",
    "127.0.0.1",
    "[::1]",
    "[::1]:80",
    "acme.[::1].example.com",
    "http://acme.example.com",
    "//acme.example.com",
    "acme.example.com/",
    "acme.example.com?x",
    "acme.example.com#x",
    "*.example.com",
    "acme,beta.example.com",
    "'.example.com",
    "acme.example.com,beta.example.com",
    "$(id).example.com",
    *(
        "",
        "acme.example.com ",
        " acme.example.com",
        "acme .example.com",
        "acme.example.com\n",
        "acme\n.example.com",
    ),
    *(
        "acme.example.com\r\nX: y",
        "acme\0.example.com",
        "acme\u3002example.com",
        "\uff41cme.example.com",
    ),
    *("\xe4cme.example.com", "\ufeffacme.example.com", "acme\u200b.example.com"),
    *(f"{'a' * 64}.example.com", f"{'a' * 4000}.example.com"),
]


def malformed_hosts(count: int) -> list[str]:
    """Returns the hosts above and good ones with one character more, fewer or another, which is good no longer."""
    rng, made = random.Random(6), list(BAD_HOSTS)
    while len(made) < count:
        host = rng.choice(GOOD_HOSTS[:3])
        where, strange = (
            rng.randrange(len(host) + 1),
            rng.choice("_ /\\@#?%&=+*!~$'\"()<>{}[]|^`,;\t\r\n\0\x7f\xe4\xe9\u3002"),
        )
        made.append(host[:where] + strange + host[where + rng.choice([0, 1]) :])
    return made


def test_hosts_of_the_one_form_name_a_tenant() -> None:
    resolve = from_subdomain("example.com")
    said = [resolve(incoming(host=host)) for host in GOOD_HOSTS]
    assert said == ["acme", "acme", "acme", "a", "a-1"]


def test_malformed_hosts_name_nobody() -> None:
    resolve, hosts = from_subdomain("example.com"), malformed_hosts(500)
    named = [host for host in hosts if resolve(incoming(host=host)) is not None]
    assert (len(hosts), named) == (500, [])


def test_malformed_hosts_find_no_tenant(ground: Ground) -> None:
    entered = entry(ground, from_subdomain("example.com"))
    hosts = [host.replace("acme", NEAR) for host in malformed_hosts(500)]
    assert {entered.context(incoming(host=host), "x").found for host in hosts} == {None}
    assert found(entered, incoming(host=f"{NEAR}.example.com")) == NEAR


def test_what_a_proxy_forwards_is_not_believed(ground: Ground) -> None:
    entered = entry(ground, from_subdomain("example.com"))
    forwarded = {
        "x_forwarded_host": f"{NEAR}.example.com",
        "forwarded": f"host={NEAR}.example.com",
    }
    assert found(entered, incoming(host="example.com", **forwarded)) is None
    with pytest.raises(TenantsDisagree):
        entered.context(incoming(host=(f"{NEAR}.example.com", "example.com")), "x")


@pytest.mark.parametrize("domain", ["", "Example.com", "example.com.", "*.com", "a/b"])
def test_a_domain_that_is_none_is_refused(domain: str) -> None:
    with pytest.raises(ConfigurationError, match="no domain"):
        from_subdomain(domain)


# --- paths and headers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/t/acme", "acme"),
        ("/t/acme/", "acme"),
        ("/t/acme/tickets/1", "acme"),
        ("/t/", None),
        ("/t", None),
        ("/", None),
        ("/x/t/acme", None),
        ("//t/acme", None),
        ("/t//acme", None),
        ("/t/acme/../far", None),
        ("/t/acme/x/../../far/x", None),
        ("/t/acme/.", None),
        ("/t/../acme", None),
        ("/t/acme/x..y/...", "acme"),
        ("/T/acme", None),
        ("t/acme", None),
    ],
)
def test_a_path_names_a_tenant_in_its_place(path: str, said: str | None) -> None:
    assert from_path("/t/{tenant}")(incoming(path)) == said


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "/t",
        "t/{tenant}",
        "/t/{id}",
        "/{tenant}/{tenant}",
        "/{tenant}x",
        "/x{tenant}",
    ],
)
def test_a_pattern_without_a_place_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="no place for a tenant"):
        from_path(pattern)


def test_what_an_application_is_mounted_at_is_no_part_of_its_path() -> None:
    scope = {"headers": [], "path": "/api/t/acme", "root_path": "/api"}
    assert of_scope(scope).path == "/t/acme"
    assert of_scope({**scope, "root_path": "/ap"}).path == "/api/t/acme"


def test_a_header_names_a_tenant_or_one_of_its_identities() -> None:
    assert from_header("X-Tenant")(incoming(x_tenant="acme")) == "acme"
    assert from_header("X-Tenant")(incoming()) is None
    assert from_header("X-Team", kind="slack_team")(incoming(x_team="T012")) == (
        "slack_team",
        "T012",
    )


def test_both_doors_read_the_same_of_a_request() -> None:
    scope = {
        "method": "POST",
        "path": "/t/ä",
        "headers": [
            (b"x-tenant", b"acme"),
            (b"content-type", b"text/plain"),
            (b"host", b"h"),
        ],
    }
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/t/ä".encode().decode("latin-1"),
        "HTTP_X_TENANT": "acme",
        "CONTENT_TYPE": "text/plain",
        "HTTP_HOST": "h",
        "SERVER_NAME": "other",
    }
    assert of_environ(environ) == of_scope(scope)


# --- tokens ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("awaited", [False, True])
def test_a_token_says_the_tenant_and_who_asks(ground: Ground, tokens: Signed, awaited: bool) -> None:
    entered = entry(ground, from_jwt(Awaited(tokens) if awaited else tokens))
    asked = incoming(authorization=f"bearer {tokens.issue('ann', NEAR, impersonator='root')}")
    context = asyncio.run(entered.context_async(asked, "x"))
    assert (context.tenant.slug, context.actor, context.impersonator) == (
        NEAR,
        "ann",
        "root",
    )
    assert context.claims == Claims("ann", NEAR, "root")
    if awaited:
        with pytest.raises(ConfigurationError, match="WSGI cannot"):
            entered.context(asked, "x")
    else:
        assert entered.context(asked, "x") == context


def test_without_a_token_nobody_else_is_heard(ground: Ground, tokens: Signed) -> None:
    strict = entry(ground, from_header("X-Tenant"), from_jwt(tokens))
    lenient = entry(ground, from_header("X-Tenant"), from_jwt(tokens, required=False))
    for without in ({}, {"authorization": "Basic YTpi"}, {"authorization": ""}):
        assert found(strict, incoming(x_tenant=NEAR, **without)) is None
        assert found(lenient, incoming(x_tenant=NEAR, **without)) == NEAR


def test_tokens_that_are_none_are_refused(ground: Ground, tokens: Signed) -> None:
    entered = entry(ground, from_jwt(tokens, required=False), from_header("X-Tenant"))
    good = tokens.issue("ann", NEAR)
    for bad in (
        "Bearer",
        "Bearer ",
        f"Bearer {good} {good}",
        f"Bearer {good},x",
        f"Bearer {good[:-2]}xx",
        "Bearer ä",
    ):
        with pytest.raises(TokenRefused):
            entered.context(incoming(authorization=bad, x_tenant=NEAR), "x")
    with pytest.raises(TenantsDisagree):
        entered.context(incoming(authorization=(f"Bearer {good}", f"Bearer {good}")), "x")
    with pytest.raises(TokenExpired):
        entered.context(
            incoming(authorization=f"Bearer {tokens.issue('ann', NEAR, expired=True)}"),
            "x",
        )
    with pytest.raises(TenantNotFound):
        entered.context(incoming(authorization=f"Bearer {tokens.issue('ann', 'nobody')}"), "x")


def test_a_token_of_the_platform_has_no_tenant_and_may_not_pick_one(ground: Ground, tokens: Signed) -> None:
    entered = entry(ground, from_jwt(tokens), from_header("X-Tenant"))
    root = {"authorization": f"Bearer {tokens.issue('root', None)}"}
    context = entered.context(incoming(**root), "x")
    assert (context.found, context.actor) == (None, "root")
    with pytest.raises(TenantsDisagree):
        entered.context(incoming(**root, x_tenant=NEAR), "x")


def test_tokens_of_the_room_access_are_read(ground: Ground) -> None:
    tokens = Tokens(
        [TokenKey.new("now")],
        issuer="https://a",
        audience="https://b",
        lifetime=timedelta(minutes=1),
    )
    tenant = ground.tenancy(TENANCY).tenants.get(NEAR)
    asked = incoming(authorization=f"Bearer {tokens.issue('ann', tenant=tenant.id, roles=['viewer'])}")
    context = entry(ground, from_jwt(tokens)).context(asked, "x")
    assert (context.tenant, context.actor, context.claims.roles) == (
        tenant,
        "ann",
        {"viewer"},
    )


@pytest.mark.parametrize("door", ["context", "context_async"])
def test_another_tenants_name_is_asked_for_like_one_that_nobody_has(ground: Ground, tokens: Signed, door: str) -> None:
    """What is known at once where somebody has the name, and late where nobody has, would tell names to whom it may."""
    entered = entry(ground, from_header("X-Tenant"), from_jwt(tokens))
    bearer = f"Bearer {tokens.issue('ann', NEAR)}"
    for name in (NEAR, FAR):
        found(entered, incoming(authorization=f"Bearer {tokens.issue('ann', name)}"))

    sent = {name: statements_of(ground, getattr(entered, door), bearer, name) for name in (NEAR, FAR, "nobody")}
    assert sent[NEAR] == []
    assert sent[FAR] == sent["nobody"] != []


def statements_of(ground: Ground, door: Callable[..., Any], bearer: str, name: str) -> list[str]:
    """Returns what the databases are told while a request with a token of Near's names this tenant."""
    sent: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        context = door(incoming(authorization=bearer, x_tenant=name), "x")
        context = ground.runner.run(context) if inspect.isawaitable(context) else context
        assert (context.found.slug, name) == (NEAR, NEAR)
    except TenantsDisagree:
        assert name != NEAR
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return sent


# --- the middleware itself -------------------------------------------------------------------------------------------


def test_at_public_paths_nobody_is_asked(ground: Ground, tokens: Signed) -> None:
    entered = entry(ground, from_jwt(tokens), public=["/login"])
    stale = {"authorization": "Bearer stale"}
    assert found(entered, incoming("/login", **stale)) is None
    for path in ("/login/", "/login/x", "/Login", "//login"):
        with pytest.raises(TokenRefused):
            entered.context(incoming(path, **stale), "x")


def test_a_resolver_of_your_own(ground: Ground) -> None:
    def by_cookie(asked: Incoming) -> Said | None:
        return Said(("team", "none")) if asked.header("cookie") else None

    async def by_luck(asked: Incoming) -> str:
        return NEAR

    assert found(entry(ground, by_cookie), incoming()) is None
    assert asyncio.run(entry(ground, by_luck).context_async(incoming(), "x")).tenant.slug == NEAR
    with pytest.raises(TenantNotFound):
        entry(ground, by_cookie).context(incoming(cookie="x"), "x")


def test_a_middleware_without_resolvers_is_refused(ground: Ground) -> None:
    with pytest.raises(ConfigurationError, match="No resolver"):
        TenancyMiddleware(lambda *_: None, ground.tenancy(TENANCY), resolvers=[])
