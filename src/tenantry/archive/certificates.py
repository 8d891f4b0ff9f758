"""What an erase gives people to keep: a signed account of every store, of what went there, and of the look after."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from tenantry.archive.container import documents
from tenantry.archive.keys import KeyRing
from tenantry.errors import CertificateInvalid

PURPOSE: Final = "erasure certificate"
FORMAT: Final = "tenantry erasure certificate 1"

TENANT: Final = "tenant"
PERSON: Final = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """One place where something was kept: what went there by name, and what a look afterwards still found."""

    name: str
    place: str
    erased: Mapping[str, int]
    looked_at: str
    left: Mapping[str, int]

    @property
    def clean(self) -> bool:
        """Whether the look found nothing."""
        return not any(self.left.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What was erased of a tenant, or of one of its persons; *subject* holds digests under a key, never names."""

    id: uuid.UUID
    tenant: uuid.UUID
    scope: str
    subject: tuple[str, ...]
    begun_at: datetime.datetime
    ended_at: datetime.datetime
    version: str
    stores: tuple[Store, ...]
    notes: tuple[str, ...]
    signature: str = ""

    @property
    def clean(self) -> bool:
        """Whether nothing was found in any store afterwards."""
        return all(store.clean for store in self.stores)

    @property
    def erased(self) -> int:
        """How much went, all stores together: rows, files, keys."""
        return sum(sum(store.erased.values()) for store in self.stores)

    def signed(self, ring: KeyRing) -> Certificate:
        """Returns the same with the signature of the ring's current key."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Certificate(**{**values, "signature": ring.sign(self._message(), purpose=PURPOSE)})

    def check(self, ring: KeyRing) -> None:
        """Lets a certificate pass that a key of the ring has signed as it stands.

        Raises: CertificateInvalid.
        """
        if not ring.check(self._message(), self.signature, purpose=PURPOSE):
            raise CertificateInvalid(reason="no key of the ring made this signature of it.")

    def to_json(self) -> dict[str, Any]:
        """Returns the certificate in terms of JSON."""
        said = asdict(self)
        for name in ("id", "tenant"):
            said[name] = str(said[name])
        for name in ("begun_at", "ended_at"):
            said[name] = said[name].astimezone(datetime.UTC).isoformat()
        return {"format": FORMAT, **said, "subject": list(self.subject), "stores": [_store(one) for one in self.stores]}

    def __str__(self) -> str:
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, given: str | bytes | Mapping[str, Any]) -> Certificate:
        """Returns the certificate that JSON describes; whether it is true, ``check`` tells.

        Raises: CertificateInvalid.
        """
        try:
            return _certificate(dict(given) if isinstance(given, Mapping) else json.loads(given))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CertificateInvalid(reason="it is not one, or of a later version.") from error

    def _message(self) -> bytes:
        return documents.written({**self.to_json(), "signature": ""})


def _store(store: Store) -> dict[str, Any]:
    return {**asdict(store), "erased": dict(store.erased), "left": dict(store.left)}


def _certificate(given: dict[str, Any]) -> Certificate:
    if given.pop("format") != FORMAT:
        raise ValueError("another format")
    for name in ("id", "tenant"):
        given[name] = uuid.UUID(given[name])
    for name in ("begun_at", "ended_at"):
        given[name] = datetime.datetime.fromisoformat(given[name])
    given["stores"] = tuple(Store(**store) for store in given["stores"])
    given["subject"] = tuple(given["subject"])
    given["notes"] = tuple(given["notes"])
    return Certificate(**given)
