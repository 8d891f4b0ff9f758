"""Access: roles, permissions, passwords, tokens; who asks, and what they may."""

from tenantry.access.accounts import Account, Accounts, AccountSource, FirstAdministrator
from tenantry.access.actors import Actor, Claims, act_as, can, require, requires
from tenantry.access.core import Access
from tenantry.access.desk import TokenPair
from tenantry.access.keys import TokenKey
from tenantry.access.passwords import Passwords
from tenantry.access.permissions import Permission, permits
from tenantry.access.permitted import Permitted
from tenantry.access.roles import SEEDED, Roles
from tenantry.access.tokens import Tokens

__all__ = [
    "SEEDED",
    "Access",
    "Account",
    "AccountSource",
    "Accounts",
    "Actor",
    "Claims",
    "FirstAdministrator",
    "Passwords",
    "Permission",
    "Permitted",
    "Roles",
    "TokenKey",
    "TokenPair",
    "Tokens",
    "act_as",
    "can",
    "permits",
    "require",
    "requires",
]
