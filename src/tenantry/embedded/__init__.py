"""The PostgreSQL that comes in a wheel: a private server for the demo, the tests and development.

It is made to start in a second and to leave nothing behind, not to hold the only copy of anything: a temporary
server runs without fsync. Started by root it runs as ``nobody``, whose other programs could read its files.
It runs on Linux and macOS.
"""

from tenantry.embedded.server import PostgresServer

__all__ = ["PostgresServer"]
