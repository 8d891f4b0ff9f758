"""Ten thousand malformed keys: each is refused with a typed error, and none sends a statement."""

from __future__ import annotations

import contextlib
import string
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenantry import Tenancy, errors
from tenantry.ids import SLUG, parse_uuid

from .installations import PostgresInstallation
from .models import Base
from .nasty import KEYS
from .recorder import Recorder

NAMES = [f"{number}-{type(key).__name__}" for number, key in enumerate(KEYS)]

hostile = st.one_of(
    st.text(min_size=1),
    st.text(st.characters(categories=["Cs", "Cc", "Cf", "Zs", "Mn", "Lo", "So"]), min_size=1, max_size=80),
    st.text(string.ascii_letters + string.digits + "-_'\";\\%$ \0", min_size=1, max_size=70),
    st.builds(
        lambda good, bad, at: good[:at] + bad + good[at:],
        st.from_regex(SLUG, fullmatch=True),
        st.sampled_from(["'", '"', ";", "\0", " ", "A", "_", "\u0301", "\u202e", "\ud800", "/", "\\", "%", "*"]),
        st.integers(0, 63),
    ),
).filter(lambda text: not SLUG.fullmatch(text) and not parse_uuid(text))


def refused(tenancy: Tenancy, key: Any) -> bool:
    """Whether every door refuses *key* with the error made for it."""
    doors = (
        lambda: tenancy.session(key).__enter__(),
        lambda: tenancy.tenants.get(key),
        lambda: tenancy.tenants.suspend(key),
        *([lambda: tenancy.tenants.create(key)] if not isinstance(key, tuple) else []),
    )
    for door in doors:
        with pytest.raises(errors.InvalidKey) as refusal:
            door()
        assert len(str(refusal.value)) < 1200  # the first 80 characters of the key, escaped
        str(refusal.value).encode("ascii")
    return True


@pytest.fixture
def silent(postgres: Any) -> Any:
    """A tenancy through a recorder that must stay silent; not even a connection may be opened."""
    server = urlsplit(postgres.url())
    with Recorder((server.hostname, server.port)) as recorder:
        address = f"127.0.0.1:{recorder.address[1]}/postgres"
        tenancy = Tenancy(f"postgresql://nobody@{address}", models=Base, owner_url=f"postgresql://nobody@{address}")
        yield tenancy
        tenancy.close()
        assert (recorder.connections, recorder.statements) == (0, [])


def check_hostile(tenancy: Tenancy, count: int) -> None:
    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(hostile)
    def each(text: str) -> None:
        tried.append(refused(tenancy, text))

    tried: list[bool] = []
    each()
    print(f"\n{len(tried)} hostile keys refused")
    assert len(tried) >= count


def test_hostile_text_is_refused_unsent(silent: Tenancy) -> None:
    check_hostile(silent, 2_000)


@pytest.mark.soak
def test_ten_thousand_hostile_texts_are_refused_unsent(silent: Tenancy) -> None:
    check_hostile(silent, 10_000)


@pytest.mark.parametrize("key", KEYS, ids=NAMES)
def test_a_known_nasty_key_is_refused_unsent(silent: Tenancy, key: Any) -> None:
    assert refused(silent, key)


def test_a_good_key_is_sent(installed: PostgresInstallation, postgres: Any) -> None:
    """The control: the same recorder hears a well-formed key, found or not."""
    server = urlsplit(postgres.url())
    with Recorder((server.hostname, server.port)) as recorder:
        tenancy = installed.tenancy(address=recorder.address)
        with contextlib.closing(tenancy), pytest.raises(errors.TenantNotFound), tenancy.session("nobody-here"):
            pass
        assert recorder.statements


@pytest.mark.parametrize("key", KEYS, ids=NAMES)
def test_a_nasty_key_makes_no_file(tmp_path: Path, key: Any) -> None:
    assert refused(Tenancy(f"sqlite:///{tmp_path / 'none'}", models=Base), key)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("slug", ["select", "public", "a" * 63, "null", "0", "t-" + "0" * 32, "pg-catalog"])
def test_a_slug_that_is_only_strange_works(installed: PostgresInstallation, slug: str) -> None:
    installed.fill(slug, isolation="schema")
    with contextlib.closing(installed.tenancy()) as tenancy:
        assert tenancy.tenants.get(slug).physical == f"t_{tenancy.tenants.get(slug).id.hex}"
        tenancy.tenants.erase(slug, confirm=slug)
