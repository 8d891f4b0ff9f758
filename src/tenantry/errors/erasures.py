"""Exports that were not written, persons whose rows cannot be told, and erasures that are not at their end."""

from __future__ import annotations

from tenantry.errors.archives import ArchiveError


class ExportExists(ArchiveError):
    """Nothing was exported: {place} exists already. Give a name that is free."""


class PersonsUndeclared(ArchiveError):
    """No table says whose personal data its rows are, so nobody's rows can be found. Add subject="..." to the classes
    whose rows are a person's: class Ticket(TenantOwned, Base, subject="requester_email")."""


class PersonUnnamed(ArchiveError):
    """No person was named. Give the values by which rows name the person: addresses, numbers, identifiers."""


class PersonEntangled(ArchiveError):
    """Nothing of the person's was erased: rows that would stay refer to it, {references}. Add ondelete="CASCADE" to
    those keys where such rows go with the person's, or ondelete="SET NULL" where they stay."""


class AuditNotGiven(ArchiveError):
    """Nothing of the person's was erased: the models have an audit in {table}, and only it can take a person out of its
    own entries. Pass audits=[audit]."""


class EraseUnfinished(ArchiveError):
    """Tenant {tenant} is not wholly erased: {found} still there. Look why, then erase again: what is done already is
    not done twice."""


class CertificateInvalid(ArchiveError):
    """The certificate is not what was signed: {reason} Check where it came from, and with which keys it was made."""


class TenantWasErased(ArchiveError):
    """Tenant {tenant} was erased on {when}, so nothing of it is restored. Check the archive that was given: it should
    have gone with the tenant."""


class ErasureKeyMissing(ArchiveError):
    """Persons of tenant {tenant} were erased under the key {key!r}, which the ring does not have; without it nobody can
    tell whose rows a restore brings back. Add the key to the ring, then restore again."""
