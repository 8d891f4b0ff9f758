"""An archive gives back what was put into it, reads as its page in the docs says, and is none before its end."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import io
import itertools
import pickle
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenantry.archive.container import Limits, open_archive, write_archive
from tenantry.archive.keys import DataKey, KeyRing
from tenantry.errors import (
    ArchiveDamaged,
    ArchiveError,
    ArchiveForeign,
    ArchiveKeyMissing,
    ArchiveOfAnother,
    ArchiveSealed,
    StoreFull,
    StoreUnavailable,
)

from . import forging
from .building import RING, TABLES, built, manifest_of, write
from .forging import KEY, TAKEN_AT, TENANT

DATA_KEY = DataKey("3f2a", bytes(range(100, 132)))


def opened(data: bytes, **options: object):
    return open_archive(io.BytesIO(data), RING, data_key=lambda *_: DATA_KEY, **options)


@pytest.fixture(params=[None, DATA_KEY], ids=["clear", "sealed"])
def data_key(request: pytest.FixtureRequest) -> DataKey | None:
    return request.param


def test_rows_and_manifest_come_back_as_they_went_in(data_key: DataKey | None) -> None:
    file = io.BytesIO()
    more = {
        "settings": {"plan": "gold", "seats": 12, "ratio": 0.1, "nested": [None, True, {"ö": "\t"}]},
        "identities": (("slack_team", "T012"), ("org", "acme.example")),
        "facts": {"audit": {"seq": 12}},
        "revision": "3f2a",
        "pack": "helpdesk",
        "note": "before the move\nsecond line",
    }
    manifest = write(file, {name: [data] for name, data in TABLES.items()}, data_key=data_key, said=more)
    archive = opened(file.getvalue())
    assert archive.manifest == manifest
    assert {name: b"".join(archive.rows(name)) for name in TABLES} == TABLES
    assert archive.manifest.rows == sum(data.count(b"\n") for data in TABLES.values())
    assert archive.header.tenant == TENANT
    assert archive.header.taken_at == TAKEN_AT


def test_digest_is_the_sha256_of_the_rows() -> None:
    archive = opened(built())
    for table in archive.manifest.tables:
        assert table.sha256 == hashlib.sha256(TABLES[table.name]).hexdigest()
        assert table.rows == TABLES[table.name].count(b"\n")
        assert table.size == len(TABLES[table.name])


@settings(max_examples=60, deadline=None)
@given(
    lines=st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"\\n") + b"\n"), max_size=60),
    cuts=st.lists(st.integers(min_value=0, max_value=3000), max_size=8),
    sealed=st.booleans(),
)
def test_any_rows_in_any_chunks_come_back_in_whole_lines(lines: list[bytes], cuts: list[int], sealed: bool) -> None:
    data = b"".join(lines)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    chunks = [data[start:end] for start, end in itertools.pairwise(edges)]
    file = io.BytesIO()
    write(file, {"tickets": chunks}, data_key=DATA_KEY if sealed else None)
    found = list(opened(file.getvalue()).rows("tickets"))
    assert b"".join(found) == data
    assert all(chunk.endswith(b"\n") for chunk in found)


def test_large_members_are_cut_into_bounded_frames_and_come_back_whole(data_key: DataKey | None) -> None:
    # Random text: what zstd cannot make small has to be cut.
    seed = hashlib.shake_256(b"rows").hexdigest(1_500_000).encode()
    rows = b"".join(seed[at : at + 500] + b"\n" for at in range(0, len(seed), 500))
    long_row = seed[:2_000_000] + b"\n"
    data = built({"tickets": rows, "notes": rows[:501] + long_row + rows[-501:]}, data_key=data_key)
    assert max(len(payload) for _, payload in forging.parts(data)[1]) <= Limits().frame
    archive = opened(data)
    assert b"".join(archive.rows("tickets")) == rows
    assert b"".join(archive.rows("notes")) == rows[:501] + long_row + rows[-501:]


def test_members_can_be_read_in_turn() -> None:
    rows = b"".join(b"%d\t%s\n" % (n, hashlib.sha256(b"%d" % n).hexdigest().encode()) for n in range(20_000))
    archive = opened(built({"left": rows, "right": rows}))
    pairs = list(zip(archive.rows("left"), archive.rows("right"), strict=True))
    assert len(pairs) > 2
    assert b"".join(left for left, _ in pairs) == b"".join(right for _, right in pairs) == rows


def test_second_implementation_reads_ours_and_writes_what_ours_reads(data_key: DataKey | None) -> None:
    forged = forging.whole(
        TABLES, data_key=data_key and data_key.secret, data_key_id=data_key.id if data_key else None
    ).signed()
    assert {name: b"".join(opened(forged).rows(name)) for name in TABLES} == TABLES
    ours = built(data_key=data_key)
    _, frames, signature = forging.parts(ours)
    assert forging.signed(ours[: -len(signature)]) == ours
    if data_key is None:
        unpacked = [forging.zstd.decompress(payload) for kind, payload in frames if kind == b"D"]
        assert unpacked == list(TABLES.values())


@pytest.mark.parametrize("name", ["clear", "sealed"])
def test_archives_of_version_1_go_on_being_read(name: str) -> None:
    """These two were written once and stay as they are, whatever the library becomes."""
    archive = opened(Path(__file__).with_name(f"version_1_{name}.tenantry").read_bytes())
    assert {name: b"".join(archive.rows(name)) for name in TABLES} == TABLES
    assert archive.manifest.slug == "acme"
    assert archive.manifest.identities == (("slack_team", "T012"),)
    assert archive.manifest.taken_at == TAKEN_AT


def test_other_tenants_archive_is_refused() -> None:
    data = built()
    assert opened(data, tenant=TENANT).manifest.tenant == TENANT
    for _ in range(100):
        with pytest.raises(ArchiveOfAnother, match="not of"):
            opened(data, tenant=uuid.uuid4())


def test_no_beginning_of_an_archive_is_one(data_key: DataKey | None) -> None:
    """An interrupted file: cut at every byte."""
    whole = built({"companies": TABLES["companies"], "empty": b""}, data_key=data_key)
    for end in range(len(whole)):
        with pytest.raises((ArchiveDamaged, ArchiveForeign)):
            opened(whole[:end])


def test_error_inside_leaves_no_archive() -> None:
    def broken() -> Iterator[bytes]:
        yield b"1\n" * 200_000
        raise LookupError("the line was cut")

    file = io.BytesIO()
    with pytest.raises(LookupError, match="cut"):
        write(file, {"companies": [b"1\n"], "tickets": broken()})
    assert len(file.getvalue()) > 200
    with pytest.raises(ArchiveDamaged, match="ends too early"):
        opened(file.getvalue())


def test_writer_that_was_broken_off_cannot_be_finished() -> None:
    def broken() -> Iterator[bytes]:
        yield b"1\n"
        raise LookupError

    file = io.BytesIO()
    with (
        contextlib.suppress(ArchiveError),
        write_archive(file, tenant=TENANT, taken_at=TAKEN_AT, ring=RING) as writer,
    ):
        writer.member("companies", [b"1\n"])
        before = manifest_of(writer)
        with pytest.raises(LookupError):
            writer.member("tickets", broken())
        with pytest.raises(ArchiveError, match="broken off"):
            writer.member("notes", [b"1\n"])
        with pytest.raises(ArchiveError, match="broken off"):
            writer.finish(before)
    with pytest.raises(ArchiveDamaged):
        opened(file.getvalue())


def test_writing_without_a_manifest_is_an_error() -> None:
    with (
        pytest.raises(ArchiveError, match="without its manifest"),
        write_archive(io.BytesIO(), tenant=TENANT, taken_at=TAKEN_AT, ring=RING) as writer,
    ):
        writer.member("tickets", [b"1\n"])


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-x",
        "../etc/passwd",
        "/etc/passwd",
        "a/b",
        "a\\b",
        ".hidden",
        "a.b",
        "a\0b",
        "a\nb",
        "1a",
        "x" * 64,
        "\u0301",
    ],
)
def test_member_whose_name_is_no_tables_is_refused(name: str) -> None:
    with pytest.raises(ArchiveError, match="table's name"):
        write(io.BytesIO(), {name: [b"1\n"]})


def test_names_of_tables_are_taken() -> None:
    names = ["tickets", "Tickets", "_x", "Größe", "t_2", "with space", "a$b", "x" * 63]
    assert [table.name for table in opened(built(dict.fromkeys(names, b"1\n"))).manifest.tables] == names


def test_rows_that_a_reader_would_refuse_are_not_written() -> None:
    small = Limits(row=400_000, members=2)
    long = b"x" * 400_001
    for chunks in ([long + b"\n"], [b"1\n", long[:200_000], long[200_000:], b"\n"], [b"1\n" + long + b"\n2\n"]):
        with pytest.raises(ArchiveError, match="more than 400000 bytes"):
            write(io.BytesIO(), {"tickets": chunks}, limits=small)
    with pytest.raises(ArchiveError, match="no end"):
        write(io.BytesIO(), {"tickets": [b"1\n2"]})
    with pytest.raises(ArchiveError, match="more than 2 members"):
        write(io.BytesIO(), {name: [b"1\n"] for name in "abc"}, limits=small)
    with pytest.raises(ArchiveError, match=r"its manifest has \d+ bytes"):
        write(io.BytesIO(), {"a": [b"1\n"]}, limits=Limits(manifest=100))


def test_row_as_long_as_the_limit_passes() -> None:
    file = io.BytesIO()
    limits = Limits(row=400_000)
    write(file, {"tickets": [b"1\n", b"x" * 400_000 + b"\n", b"2\n"]}, limits=limits)
    assert opened(file.getvalue(), limits=limits).manifest.rows == 3
    with pytest.raises(ArchiveDamaged, match="more than 399999 bytes"):
        opened(file.getvalue(), limits=Limits(row=399_999))


@pytest.mark.parametrize(
    "wrong",
    [
        {"tenant": uuid.uuid4()},
        {"taken_at": TAKEN_AT + datetime.timedelta(microseconds=1)},
        {"tables": ()},
        {"slug": "No Slug"},
        {"database": "oracle"},
        {"identities": (("Kind", "x"),)},
        {"settings": {"ratio": float("nan")}},
        {"settings": {"half": "\ud800"}},
        {"facts": {"object": object()}},
        {"name": "a\0b"},
        {"revision": 7},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_manifest_that_could_not_be_read_is_not_written(wrong: dict[str, object]) -> None:
    with pytest.raises(ArchiveError, match="read again"):
        write(io.BytesIO(), {"tickets": [b"1\n"]}, said=wrong)


def test_key_that_the_ring_lacks_and_another_under_its_name() -> None:
    data = built()
    with pytest.raises(ArchiveKeyMissing, match="'2026'"):
        open_archive(io.BytesIO(data), KeyRing({"2027": KEY}, "2027"))
    with pytest.raises(ArchiveDamaged, match="signature"):
        open_archive(io.BytesIO(data), KeyRing({"2026": bytes(32)}, "2026"))


def test_old_key_goes_on_checking() -> None:
    later = KeyRing({"2027": bytes(32), "2026": KEY}, "2027")
    assert open_archive(io.BytesIO(built()), later).manifest.slug == "acme"


def test_sealed_archive_needs_its_own_data_key_and_shows_nothing_without() -> None:
    data = built(data_key=DATA_KEY)
    for secret in (b"tickets", b"Acme", b"acme", TABLES["tickets"][:20], b"gold"):
        assert secret not in data
    for data_keys in (None, lambda *_: None, lambda *_: DataKey(DATA_KEY.id, bytes(32))):
        with pytest.raises(ArchiveSealed, match="3f2a"):
            open_archive(io.BytesIO(data), RING, data_key=data_keys)


def test_data_key_is_asked_for_by_tenant_and_id() -> None:
    asked = []
    open_archive(io.BytesIO(built(data_key=DATA_KEY)), RING, data_key=lambda *what: asked.append(what) or DATA_KEY)
    assert asked == [(TENANT, "3f2a")]


def test_no_two_sealed_archives_of_the_same_rows_have_a_frame_in_common() -> None:
    first, second = ({payload for _, payload in forging.parts(built(data_key=DATA_KEY))[1]} for _ in range(2))
    assert not first & second


def test_table_that_is_not_there() -> None:
    with pytest.raises(ArchiveError, match="no table 'users'"):
        next(opened(built()).rows("users"))


def test_file_that_is_changed_after_it_was_checked_gives_no_last_chunk() -> None:
    rows = b"".join(b"%d\t%s\n" % (n, hashlib.sha256(b"%d" % n).hexdigest().encode()) for n in range(20_000))
    data = built({"tickets": rows})
    file = io.BytesIO(data)
    archive = open_archive(file, RING)
    file.getbuffer()[len(data) // 2] ^= 1
    taken: list[bytes] = []
    with pytest.raises(ArchiveDamaged):
        taken.extend(archive.rows("tickets"))
    assert len(b"".join(taken)) < len(rows)
    file.getbuffer()[len(data) // 2] ^= 1
    longer = data.index(b"D", len(forging.parts(data)[0]) + 10) + 1
    file.getbuffer()[longer] = 0x7F
    with pytest.raises(ArchiveDamaged, match="changed while it was read"):
        archive.check()
    file.truncate(len(data) // 3)
    with pytest.raises(ArchiveDamaged):
        archive.check()


def test_full_disk_and_file_that_cannot_be_written() -> None:
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(StoreFull, match="No space left"):
        write(full, {"tickets": [b"1\n"]})
    with open("/dev/null", "rb") as closed, pytest.raises(StoreUnavailable):
        write(closed, {"tickets": [b"1\n"]})


def test_errors_survive_a_pickle_and_hold_no_key() -> None:
    with pytest.raises(ArchiveSealed) as caught:
        open_archive(io.BytesIO(built(data_key=DATA_KEY)), RING)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    for said in (repr(DATA_KEY), repr(RING), str(caught.value), repr(opened(built()))):
        assert KEY.hex() not in said
        assert repr(KEY)[2:12] not in said
        assert DATA_KEY.secret.hex() not in said
