"""Keys that find no tenant and must not reach a database: text, other types, and pairs of both."""

from __future__ import annotations

import uuid

ID = str(uuid.UUID(int=7))

TEXT = [
    *["", " ", "\0", "a\0b", "a\n", "\ta", "a b", "A", "\xc4\xd6\xdc", "tenant_", "-a", "a-", "a_b", "a.b"],
    *["a/b", "../a", "%61", "a" * 64, "a" * 100_000, "\xe9" * 31, "\uff54\uff45\uff4e", "e\u0301", "\u202eabc"],
    *["a\u200bb", "\ufeffa", "\u0131", "\xdf", "\u0130", "\ud800", "a\udfff", "\U0001f600", "\u2028"],
    *["a'--", "a' or '1'='1", '"; drop table tenants; --', "$1", "a\\", "{}", "{tenant}", "%s", ":key", "None\n"],
    *["0x1G", "t_" + "0" * 32, "public;", "pg_catalog.", "tenantry.tenants", "{" + ID + "}", "urn:uuid:" + ID],
    *[ID + " ", "g" * 32 + "_"],
]

OTHERS = [None, 7, 7.0, True, b"acme", object(), [], {}, (), ("slack",), ("slack", "a", "b"), frozenset({"a"})]

PAIRS = [
    *[("", "x"), ("Slack", "x"), ("id", ID), ("slack team", "x"), ("s" * 64, "x"), (7, "x"), (None, "x")],
    *[("slack", ""), ("slack", " x"), ("slack", "x "), ("slack", "a\0"), ("slack", "a\nb"), ("slack", "x" * 256)],
    *[("slack", "\ud800"), ("slack", "\u202ex"), ("slack", 7), ("slack", None), ("slack", b"x")],
    *[("slug", "A B"), ("slug", 7)],
]

KEYS = [*TEXT, *OTHERS, *PAIRS]
