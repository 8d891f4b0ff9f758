"""A hundred and more files that somebody made to do harm; most are signed with the right key, as by an insider."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from typing import Any

from . import forging
from .forging import Forged, entry, framed, manifest, member, spelled, zstd

ROWS = b"1\tAcme\t\\N\n"
# Longer than any row may be; packed it is no longer than a letter.
ENDLESS = 257 << 20


class Harmful:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return open, ("harm.txt", "w")


def all_of_them() -> Iterator[tuple[str, bytes]]:
    """Yields a name and a file for each."""
    yield from _strangers()
    yield from _heads()
    yield from _frames()
    yield from _names()
    yield from _bombs()
    yield from _documents()
    yield from _counts()


def harmless_looking() -> dict[str, bytes]:
    """Rows that would do harm where somebody executed them: data like any other here."""
    rows = [
        b"\\\\.\n",
        b"1\t'; DROP TABLE tickets; --\n",
        b"\\\\! touch harm.txt\n",
        b"$(touch harm.txt)\t`touch harm.txt`\n",
        b"{0.__class__.__init__.__globals__}\t%s%n\t${jndi:ldap://127.0.0.1/x}\n",
        pickle.dumps(Harmful()).replace(b"\\", b"\\\\").replace(b"\n", b"\\n") + b"\n",
        b"COPY (SELECT 1) TO PROGRAM 'touch harm.txt';\n",
    ]
    return {"tickets": b"".join(rows)}


def _strangers() -> Iterator[tuple[str, bytes]]:
    yield "empty", b""
    yield "noughts", bytes(100_000)
    yield "only the magic", forging.MAGIC
    yield "zip", _zip()
    yield "tar", _tar()
    yield "gzip", gzip.compress(bytes(1_000_000))
    yield "pickle", pickle.dumps(Harmful())
    yield "zstd", zstd.compress(ROWS)
    yield "SQLite", b"SQLite format 3\0" + bytes(4080)
    yield "pg_dump", b"PGDMP\x01\x0e\x00\x04\x08\x01\x01\x01\x00" + bytes(500)
    yield "SQL", b"DROP TABLE tickets;\n\\! touch harm.txt\n"
    yield "magic as a mail gives it", forging.MAGIC.replace(b"\r\n", b"\n") + _sound().signed()[len(forging.MAGIC) :]


def _heads() -> Iterator[tuple[str, bytes]]:
    for version in (0, 2, 65535):
        yield f"version {version}", Forged(frames=_sound().frames, version=version).signed()
    for length in (0, 4097, 0xFFFFFFFF):
        yield f"header of {length} bytes", forging.MAGIC + struct.pack(">HI", 1, length) + bytes(5000)
    for field, value in (
        ("tenant", "../../etc"),
        ("tenant", None),
        ("tenant", "018F3C6E-0000-7000-8000-000000000001"),
        ("taken_at", "yesterday"),
        ("taken_at", 1e300),
        ("key", "../2026"),
        ("key", ["2026"]),
        ("salt", "00"),
        ("salt", "é" * 64),
        ("data_key", "../../etc/passwd"),
        ("data_key", {}),
    ):
        forged = _sound()
        forged.header[field] = value
        yield f"header with {field}={str(value)[:20]}", forged.signed()
    for what, payload in _no_documents():
        yield f"header of {what}", _with_header(payload)
    more = _sound()
    more.header["hook"] = "os.system"
    yield "header with more", more.signed()
    yield "header with blanks", _with_header(spelled(_sound().header).replace(b",", b", "))


def _frames() -> Iterator[tuple[str, bytes]]:
    sound = _sound()
    head = sound.head()
    for length in (1 << 20, 1 << 24, 0x7FFFFFFF, 0xFFFFFFFF):
        yield (
            f"frame of {length} bytes",
            head + b"B" + struct.pack(">I", 7) + b"tickets" + b"D" + struct.pack(">I", length),
        )
    yield "frame longer than any", forging.signed(head + framed(b"B", b"a") + framed(b"D", bytes((1 << 20) + 17)))
    yield "unknown frame", _signed_frames([(b"X", b"x"), *sound.frames])
    yield "data outside a member", _signed_frames([(b"D", b"x"), *sound.frames])
    yield "end outside a member", _signed_frames([(b"E", b""), *sound.frames])
    yield "member in a member", _signed_frames([(b"B", b"a"), *sound.frames])
    yield "empty data", _signed_frames([(b"B", b"a"), (b"D", b""), (b"E", b"")])
    yield "end with something", _signed_frames([(b"B", b"a"), (b"D", b"x"), (b"E", b"x" * 17)])
    yield "end as long as a tag", _archive([*member("a", ROWS)[:-1], (b"E", bytes(16))], [entry("a", ROWS)])
    yield "no manifest", _signed_frames(sound.frames[:-1])
    yield "two manifests", _signed_frames([*sound.frames, sound.frames[-1]])
    yield "manifest first", _signed_frames([sound.frames[-1], *sound.frames[:-1]])
    yield "no frames", _signed_frames([])
    yield "no signature", head + sound.body()
    yield "signature of another length", head + sound.body() + framed(b"S", bytes(31))
    yield "signature of noughts", head + sound.body() + framed(b"S", bytes(32))
    yield "signed by somebody else", sound.signed(b"\x55" * 32)
    yield "something behind it", sound.signed() + b"\n"
    yield "two archives in one", sound.signed() * 2
    many = {f"t{number}": b"" for number in range(5000)}
    yield "many members", forging.whole(many).signed()


def _names() -> Iterator[tuple[str, bytes]]:
    for name in (
        b"../../../../tmp/harm",
        b"/etc/cron.d/harm",
        b"C:\\harm",
        b"..",
        b".",
        b"a/../../b",
        b"tickets\0.txt",
        b"tickets\n",
        b"tickets; DROP TABLE companies",
        b'tickets" CASCADE',
        b"\xff\xfe",
        b"\xe2\x80\xaetickets",
        b"x" * 64,
        b"public.tickets",
        b"$(touch harm.txt)",
    ):
        text = name.decode(errors="replace")
        yield f"member {text!a}", _archive(member(name, ROWS), [entry(text, ROWS)])
    yield "one member twice", _archive(member("a", ROWS) * 2, [entry("a", ROWS)])
    yield "a table twice", _archive(member("a", ROWS), [entry("a", ROWS)] * 2)
    yield "a member that the manifest lacks", _archive(member("a", ROWS) + member("b", ROWS), [entry("a", ROWS)])
    yield "a table that the file lacks", _archive(member("a", ROWS), [entry("a", ROWS), entry("b", ROWS)])
    yield "another order", _archive(member("a", ROWS) + member("b", ROWS), [entry("b", ROWS), entry("a", ROWS)])
    yield "the shape of another", _archive(member("a", ROWS), [entry("a", ROWS, shape={"name": "b"})])


def _bombs() -> Iterator[tuple[str, bytes]]:
    packer = zstd.ZstdCompressor(level=1)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(ENDLESS >> 20)) + packer.flush()
    yield "bomb that says it is small", _archive(member("a", b"", packed=packed), [entry("a", ROWS)])
    yield "bomb of rows", _archive(member("a", b"", packed=zstd.compress(b"0\n" * (32 << 20))), [entry("a", ROWS)])
    yield "row without end", _archive(member("a", b"", packed=packed), [entry("a", ROWS, size=ENDLESS, rows=1)])
    window = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    far = window.compress(ROWS * 100_000) + window.flush()
    yield "window of 128 MiB", _archive(member("a", b"", packed=far), [entry("a", ROWS * 100_000)])
    farther = b"\x28\xb5\x2f\xfd\x00\xa8" + far[6:]
    yield "window of 2 GiB", _archive(member("a", b"", packed=farther), [entry("a", ROWS * 100_000)])
    yield "bomb of frames", _archive(member("a", b"", packed=zstd.compress(ROWS) * 1000), [entry("a", ROWS * 1000)])
    skipped = b"\x50\x2a\x4d\x18" + struct.pack("<I", 100) + bytes(100)
    yield "skippable frame", _archive(member("a", b"", packed=skipped + zstd.compress(ROWS)), [entry("a", ROWS)])
    dictionary = zstd.ZstdDict(ROWS * 9, is_raw=True)
    foreign = zstd.compress(ROWS * 9, zstd_dict=dictionary)
    yield "packed with a dictionary", _archive(member("a", b"", packed=foreign), [entry("a", ROWS * 9)])
    yield "cut zstd", _archive(member("a", b"", packed=zstd.compress(ROWS)[:-3]), [entry("a", ROWS)])
    yield "no zstd", _archive(member("a", b"", packed=ROWS), [entry("a", ROWS)])
    yield "pickle for zstd", _archive(member("a", b"", packed=pickle.dumps(Harmful())), [entry("a", ROWS)])
    yield "no data", _archive([(b"B", b"a"), (b"E", b"")], [entry("a", b"")])
    yield "last row without end", _archive(member("a", b"1\t2"), [entry("a", b"1\t2")])


def _documents() -> Iterator[tuple[str, bytes]]:
    frames = member("a", ROWS)
    for what, payload in _no_documents():
        yield f"manifest of {what}", _signed_frames([*frames, (b"M", payload)])
    for field, value in (
        ("tenant", "018f3c6e-0000-7000-8000-000000000002"),
        ("tenant", 7),
        ("taken_at", "2026-11-22T11:30:00.000006Z"),
        ("slug", "../acme"),
        ("slug", None),
        ("name", "half \\ud800"),
        ("isolation", "none"),
        ("isolation", {}),
        ("database", "mysql"),
        ("tables", {}),
        ("tables", [7]),
        ("settings", []),
        ("facts", "{}"),
        ("identities", [["slack_team"]]),
        ("identities", [["Bad Kind", "x"]]),
        ("identities", {"a": "b"}),
        ("revision", 7),
        ("note", None),
        ("library", ["0.1"]),
        ("__class__", "os.system"),
    ):
        said = spelled(manifest([entry("a", ROWS)], **{field: value})).replace(b"\\\\ud800", b"\\ud800")
        yield f"manifest with {field}={value!r}", _signed_frames([*frames, (b"M", said)])
    for what, more in (("NaN", b"NaN"), ("infinity", b"1e999"), ("minus infinity", b"-Infinity")):
        said = spelled(manifest([entry("a", ROWS)])).replace(b'"facts":{}', b'"facts":{"x":' + more + b"}")
        yield f"manifest with {what} in it", _signed_frames([*frames, (b"M", said)])
    said = spelled(manifest([entry("a", ROWS)])).replace(b'"note":""', b'"note":"","note":""')
    yield "manifest with a field twice", _signed_frames([*frames, (b"M", said)])
    lacking = manifest([entry("a", ROWS)])
    del lacking["facts"]
    yield "manifest with less", _signed_frames([*frames, (b"M", spelled(lacking))])
    large = spelled(manifest([entry("a", ROWS)], note="x" * (4 << 20)))
    yield "manifest beyond its limit", _signed_frames([*frames, (b"M", large)])
    many = spelled(manifest([entry("a", ROWS)], facts={"x": [[]] * 1_300_000}, tables=[]))
    yield "manifest of a million lists", _signed_frames([*frames, (b"M", many)])


def _counts() -> Iterator[tuple[str, bytes]]:
    for other in (
        {"rows": -1},
        {"rows": 2},
        {"rows": 0},
        {"rows": True},
        {"rows": 1.0},
        {"rows": "1"},
        {"size": 1 << 70},
        {"size": len(ROWS) - 1},
        {"size": 10**400},
        {"sha256": "0" * 64},
        {"sha256": "zz" * 32},
        {"sha256": 7},
        {"shape": "eval"},
        {"code": "import os"},
    ):
        yield f"table with {str(other)[:30]}", _archive(member("a", ROWS), [entry("a", ROWS, **other)])


def _no_documents() -> Iterator[tuple[str, bytes]]:
    yield "nothing JSON", b"import os"
    yield "a list", b"[]"
    yield "a deep list", b"[" * 4000
    yield "a deep object", b'{"a":' * 600 + b"1" + b"}" * 600
    yield "no text", b"\xff" * 100
    yield "NaN", b'{"a":NaN}'
    yield "infinity", b'{"a":1e999}'
    yield "one name twice", b'{"a":1,"a":2}'
    yield "a number of 4,000 digits", b'{"a":' + b"9" * 4000 + b"}"
    yield "a pickle", pickle.dumps(Harmful())
    yield "two documents", b"{}{}"


def _sound() -> Forged:
    return forging.whole({"tickets": ROWS})


def _archive(frames: list[forging.Frame], entries: list[dict[str, Any]]) -> bytes:
    return _signed_frames([*frames, (b"M", spelled(manifest(entries)))])


def _signed_frames(frames: list[forging.Frame]) -> bytes:
    return Forged(frames=list(frames)).signed()


def _with_header(payload: bytes) -> bytes:
    return forging.signed(forging.MAGIC + struct.pack(">HI", 1, len(payload)) + payload + _sound().body())


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../harm.txt", "0" * 1_000_000)
    return file.getvalue()


def _tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("../../harm.txt"))
    return file.getvalue()
