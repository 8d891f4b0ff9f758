"""The packages of the extra [archive], imported in one place, so that a missing one is told in one sentence."""

from __future__ import annotations

import sys

from tenantry.errors import ExtraMissing

try:
    import obstore
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
except ImportError as error:
    raise ExtraMissing(module="The archive", extra="archive") from error

__all__ = ["AESGCM", "HKDF", "InvalidTag", "hashes", "obstore", "zstd"]
