"""``--where NAME=PATTERN``: some homes or tenants out of all, told by what they are called and where they live."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from tenantry.cli.applying import parse_key
from tenantry.errors import ConfigurationError
from tenantry.fleet.homes import Home, home_of, homes_of
from tenantry.tenancy import Tenancy
from tenantry.types import Tenant

HOME_NAMES: Final = ("home", "kind", "server", "slug", "tenant")
TENANT_NAMES: Final = ("id", "isolation", "name", "server", "slug", "tenant")
_KEY: Final = "tenant"
# A setting of the tenant: setting.plan=gold.
_SETTING: Final = "setting."


@dataclass(frozen=True, slots=True)
class Condition:
    """One ``NAME=PATTERN``, the pattern being several with commas between them."""

    name: str
    patterns: Sequence[str]

    def holds(self, facts: Mapping[str, str]) -> bool:
        """Whether a pattern fits the fact of that name."""
        return any(fnmatchcase(facts.get(self.name, ""), pattern) for pattern in self.patterns)


def homes_where(tenancy: Tenancy, texts: Sequence[str] | None) -> Callable[[Home], bool] | None:
    """Returns what tells the homes that are meant, or None where all are.

    Raises: ConfigurationError for a condition of another form, or one that no home meets; TenantNotFound.
    """
    if not texts:
        return None
    conditions = [_condition(text, HOME_NAMES) for text in texts]
    keys = {_home_key(tenancy, key) for each in conditions if each.name == _KEY for key in each.patterns}
    others = [each for each in conditions if each.name != _KEY]

    def chosen(home: Home) -> bool:
        return (not keys or home.key in keys) and all(each.holds(_facts_of_home(home)) for each in others)

    if not any(chosen(home) for home in homes_of(tenancy)):
        raise ConfigurationError(
            what=f"No home matches --where {' --where '.join(texts)}.", fix="`tenantry fleet current` lists them."
        )
    return chosen


def tenants_where(tenancy: Tenancy, texts: Sequence[str] | None) -> list[Tenant]:
    """Returns the active tenants that meet every condition, in the order of their creation.

    Raises: ConfigurationError for a condition of another form, or where there is nobody; TenantNotFound.
    """
    conditions = [_condition(text, TENANT_NAMES, also=_SETTING) for text in texts or ()]
    keys = {tenancy.tenants.get(parse_key(key)).id for each in conditions if each.name == _KEY for key in each.patterns}
    others = [each for each in conditions if each.name != _KEY]
    found = [
        tenant
        for tenant in tenancy.every_tenant()
        if (not keys or tenant.id in keys) and all(each.holds(_facts_of_tenant(tenant)) for each in others)
    ]
    if texts and not found:
        what = f"No active tenant matches --where {' --where '.join(texts)}."
        raise ConfigurationError(what=what, fix="`tenantry tenants list` lists them.")
    return found


def _condition(text: str, names: Iterable[str], *, also: str = "") -> Condition:
    name, equals, pattern = text.partition("=")
    known = name in names or (also and name.startswith(also))
    if not equals or not pattern or not known:
        more = f", {also}NAME" if also else ""
        fix = f"Write --where NAME=PATTERN with a NAME of {', '.join(names)}{more}."
        raise ConfigurationError(what=f"--where {text!r} says nothing that can be looked for.", fix=fix)
    return Condition(name, pattern.split(","))


def _facts_of_home(home: Home) -> Mapping[str, str]:
    return {"home": str(home), "kind": home.kind, "server": home.server, "slug": home.slug}


def _facts_of_tenant(tenant: Tenant) -> Mapping[str, str]:
    facts = {name: str(getattr(tenant, name)) for name in TENANT_NAMES if name != _KEY}
    return facts | {f"{_SETTING}{name}": str(value) for name, value in tenant.settings.items()}


def _home_key(tenancy: Tenancy, key: str) -> str:
    tenant = tenancy.tenants.get(parse_key(key))
    home = home_of(tenant, tenancy.servers.get(tenant.server))
    if home is None:
        what = f"{tenant.slug} has no home of its own: its rows stand in common tables, with others'."
        raise ConfigurationError(what=what, fix=f"Name that home: --where home={tenant.server}/common.")
    return home.key
