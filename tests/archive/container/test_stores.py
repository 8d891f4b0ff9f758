"""A store holds a file whole or not at all, never one over another, and says by a typed error what it could not do."""

from __future__ import annotations

import datetime
import hashlib
import io
import os
import pickle
import signal
import stat
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tenantry.archive.container import open_archive
from tenantry.archive.stores import (
    DirectoryStore,
    ObjectStore,
    Store,
    archive_name,
    check_name,
    open_store,
    parse_archive_name,
)
from tenantry.errors import (
    ArchiveDamaged,
    ArchiveError,
    ArchiveExists,
    ArchiveUnknown,
    ConfigurationError,
    StoreUnavailable,
)

from ..buckets import Bucket, broken_line, nobody
from .building import RING, TABLES, built

PUTTING = Path(__file__).with_name("putting.py")
NAME = "018f3c6e-0000-7000-8000-000000000001/20261122t113000.000005z.tenantry"
LARGE = hashlib.shake_256(b"large").digest(9_000_000)


@pytest.fixture(params=["directory", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "directory":
        return DirectoryStore(tmp_path / "deep" / "store")
    return request.getfixturevalue("bucket").store()


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    def made(data: bytes) -> Path:
        path = tmp_path / hashlib.sha256(data).hexdigest()
        path.write_bytes(data)
        return path

    return made


def content(store: Store, name: str) -> bytes:
    with store.get(name) as found:
        return found.read()


@pytest.mark.parametrize("data", [b"x", built(TABLES), LARGE], ids=["byte", "archive", "large"])
def test_file_comes_back_as_it_went_in(store: Store, file: Callable[[bytes], Path], data: bytes) -> None:
    store.put(NAME, file(data))
    assert content(store, NAME) == data
    with store.get(NAME) as found:
        found.seek(-1, io.SEEK_END)
        assert found.read() == data[-1:]
        found.seek(0)
        assert found.read(1) == data[:1]


def test_archive_is_opened_from_a_store(store: Store, file: Callable[[bytes], Path]) -> None:
    store.put(NAME, file(built(TABLES)))
    with store.get(NAME) as found:
        archive = open_archive(found, RING, name=NAME)
        assert {name: b"".join(archive.rows(name)) for name in TABLES} == TABLES


@pytest.mark.parametrize("other", [b"other", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("first", [b"first", LARGE[::-1]], ids=["on small", "on large"])
def test_nothing_is_written_over(store: Store, file: Callable[[bytes], Path], first: bytes, other: bytes) -> None:
    store.put(NAME, file(first))
    with pytest.raises(ArchiveExists, match="written over"):
        store.put(NAME, file(other))
    assert content(store, NAME) == first
    assert list(store.names()) == [NAME]


@pytest.mark.parametrize("data", [b"x", LARGE], ids=["small", "large"])
def test_the_same_bytes_again_are_well(store: Store, file: Callable[[bytes], Path], data: bytes) -> None:
    """A put whose answer was lost is done again by whoever resumes."""
    store.put(NAME, file(data))
    store.put(NAME, file(data))
    assert content(store, NAME) == data


def test_names_are_told_in_order_by_prefix(store: Store, file: Callable[[bytes], Path]) -> None:
    assert list(store.names()) == []
    names = ["a/1.tenantry", "a/2.tenantry", "ab/1.tenantry", "b", "dumps/x/y/z.sql"]
    for name in reversed(names):
        store.put(name, file(name.encode()))
    assert list(store.names()) == names
    assert list(store.names("a/")) == names[:2]
    assert list(store.names("a")) == names[:3]
    assert list(store.names("a/2")) == [names[1]]
    assert list(store.names("dumps/x/y")) == [names[4]]
    for none in ("c", "a/2.tenantry/x", "a/3", "../", "/", "a//", "b/"):
        assert list(store.names(none)) == []


def test_deleting_what_is_not_there_is_well(store: Store, file: Callable[[bytes], Path]) -> None:
    store.delete(NAME)
    store.put(NAME, file(b"x"))
    store.put("other", file(b"y"))
    store.delete(NAME)
    store.delete(NAME)
    assert list(store.names()) == ["other"]
    store.put(NAME, file(b"z"))
    assert content(store, NAME) == b"z"


def test_what_is_not_there_is_told(store: Store) -> None:
    with pytest.raises(ArchiveUnknown, match=NAME) as caught:
        content(store, NAME)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", ".hidden", "a/.b", "a\\b", "a b", "A", "a\n", "a\0", "é"],
)
def test_name_that_is_none_goes_nowhere(store: Store, file: Callable[[bytes], Path], name: str) -> None:
    for use in (lambda: store.put(name, file(b"x")), lambda: content(store, name), lambda: store.delete(name)):
        with pytest.raises(ArchiveError, match="cannot name"):
            use()
    assert list(store.names()) == []


def test_source_that_is_not_there_is_the_callers_mistake(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.put(NAME, tmp_path / "nowhere")
    assert list(store.names()) == []


def test_one_of_many_who_put_a_name_at_once_wins(store: Store, file: Callable[[bytes], Path]) -> None:
    paths = [file(bytes([n]) * 100_000) for n in range(6)]
    outcomes: list[object] = []

    def put(path: Path) -> None:
        try:
            store.put(NAME, path)
            outcomes.append(path.read_bytes())
        except (ArchiveExists, StoreUnavailable) as error:
            outcomes.append(error)

    threads = [threading.Thread(target=put, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    won = [outcome for outcome in outcomes if isinstance(outcome, bytes)]
    assert len(outcomes) == 6
    assert won == [content(store, NAME)]


def test_directory_keeps_files_to_its_owner(tmp_path: Path, file: Callable[[bytes], Path]) -> None:
    store = DirectoryStore(tmp_path / "store")
    store.put(NAME, file(b"x"))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [store.path, *store.path.rglob("*")]}
    assert set(modes.values()) == {0o700, 0o600}


def test_directory_shows_nothing_of_what_does_not_belong(tmp_path: Path, file: Callable[[bytes], Path]) -> None:
    store = DirectoryStore(tmp_path / "store")
    store.put("b", file(b"x"))
    (store.path / "Größe").write_bytes(b"")
    (store.path / ".b.12.part").write_bytes(b"")
    assert list(store.names()) == ["b"]


@pytest.mark.parametrize("passed_on", [100_000, 1_500_000])
def test_killed_put_leaves_nothing_that_shows_and_the_next_clears_it_away(
    tmp_path: Path, file: Callable[[bytes], Path], passed_on: int
) -> None:
    """The program reads from a pipe, so it is certainly in the midst of it when it is killed."""
    store, pipe = DirectoryStore(tmp_path / "store"), tmp_path / "pipe"
    os.mkfifo(pipe)
    running = subprocess.Popen([sys.executable, PUTTING, store.path, NAME, pipe, "0"])
    try:
        with pipe.open("wb", buffering=0) as feeding:
            feeding.write(bytes(passed_on))
            running.send_signal(signal.SIGKILL)
            running.wait(timeout=30)
    finally:
        running.kill()
        running.wait(timeout=30)
    assert any(store.path.rglob("*.part")) or passed_on <= 100_000
    assert list(store.names()) == []
    with pytest.raises(ArchiveUnknown):
        content(store, NAME)
    store.put(NAME, file(b"whole"))
    assert content(store, NAME) == b"whole"
    assert [path.name for path in store.path.rglob("*") if path.is_file()] == [Path(NAME).name]


def test_delete_clears_away_what_a_killed_put_left(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    (store.path / "a").mkdir(parents=True)
    (store.path / "a" / ".b.0123456789abcdef.part").write_bytes(b"half")
    (store.path / "a" / ".bc.0123456789abcdef.part").write_bytes(b"another's")
    store.delete("a/b")
    assert [path.name for path in (store.path / "a").iterdir()] == [".bc.0123456789abcdef.part"]


def test_second_name_of_a_finished_file_goes_with_the_next_put(tmp_path: Path, file: Callable[[bytes], Path]) -> None:
    """What a put leaves that is killed between the link and the removal of its part."""
    store = DirectoryStore(tmp_path / "store")
    store.put("a/b", file(b"whole"))
    (store.path / "a" / ".b.0123456789abcdef.part").hardlink_to(store.path / "a" / "b")
    store.put("a/c", file(b"other"))
    assert sorted(path.name for path in (store.path / "a").iterdir()) == ["b", "c"]
    assert content(store, "a/b") == b"whole"


def test_full_disk_leaves_nothing(tmp_path: Path, file: Callable[[bytes], Path]) -> None:
    store = DirectoryStore(tmp_path / "store")
    command = [sys.executable, PUTTING, store.path, NAME, file(LARGE), "100000"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "full: There was no room left" in ran.stdout
    assert [path for path in store.path.rglob("*") if path.is_file()] == []


def test_directory_that_cannot_be_used(tmp_path: Path, file: Callable[[bytes], Path]) -> None:
    path = file(b"no directory")
    store = DirectoryStore(path / "store")
    with pytest.raises(StoreUnavailable):
        store.put(NAME, path)
    with pytest.raises(StoreUnavailable):
        content(store, NAME)
    with pytest.raises(StoreUnavailable):
        list(DirectoryStore(path).names())


@pytest.mark.parametrize("data", [b"x", LARGE], ids=["small", "large"])
def test_unreachable_bucket(bucket: Bucket, file: Callable[[bytes], Path], data: bytes) -> None:
    path = file(data)
    with nobody() as endpoint:
        store = ObjectStore(bucket.url, **bucket.options(endpoint))
        for use in (
            lambda: store.put(NAME, path),
            lambda: content(store, NAME),
            lambda: list(store.names()),
            lambda: store.delete(NAME),
        ):
            with pytest.raises(StoreUnavailable, match="error sending request"):
                use()


@pytest.mark.parametrize("data", [b"x", LARGE], ids=["small", "large"])
def test_bucket_that_is_not_there(bucket: Bucket, file: Callable[[bytes], Path], data: bytes) -> None:
    """Deleting from it is an error too: a certificate of erasure must not rest on a mistyped name."""
    store, path = ObjectStore("s3://no-such-bucket/archives", **bucket.options()), file(data)
    for use in (
        lambda: store.put(NAME, path),
        lambda: content(store, NAME),
        lambda: list(store.names()),
        lambda: store.delete(NAME),
    ):
        with pytest.raises(StoreUnavailable, match="NoSuchBucket"):
            use()


@pytest.mark.parametrize(("data", "after"), [(LARGE[:5_000_000], 2_000_000), (LARGE, 4_000_000), (LARGE, 8_700_000)])
def test_line_that_breaks_while_a_file_is_put_leaves_nothing(
    bucket: Bucket, file: Callable[[bytes], Path], data: bytes, after: int
) -> None:
    with broken_line(bucket.endpoint, after=after) as endpoint:
        store = ObjectStore(bucket.url, **bucket.options(endpoint))
        with pytest.raises(StoreUnavailable):
            store.put(NAME, file(data))
    assert list(bucket.store().names()) == []
    bucket.store().put(NAME, file(data))
    assert content(bucket.store(), NAME) == data


def test_object_that_is_exchanged_while_it_is_fetched_is_not_mixed(
    bucket: Bucket, file: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bucket.store()
    store.put(NAME, file(LARGE))
    first = ObjectStore._first

    def exchanged(self: ObjectStore, name: str) -> object:
        found = first(self, name)
        store.delete(NAME)
        store.put(NAME, file(LARGE[::-1]))
        return found

    monkeypatch.setattr(ObjectStore, "_first", exchanged)
    with pytest.raises(StoreUnavailable):
        content(store, NAME)


def test_object_that_is_changed_in_the_bucket_is_no_archive(bucket: Bucket, file: Callable[[bytes], Path]) -> None:
    whole = built(TABLES)
    store = bucket.store()
    store.put(NAME, file(whole[:300] + bytes([whole[300] ^ 1]) + whole[301:]))
    with store.get(NAME) as found, pytest.raises(ArchiveDamaged):
        open_archive(found, RING, name=NAME)


def test_spool_that_cannot_be_used(bucket: Bucket, file: Callable[[bytes], Path], tmp_path: Path) -> None:
    bucket.store().put(NAME, file(b"x"))
    with pytest.raises(StoreUnavailable):
        content(bucket.store(spool=tmp_path / "nowhere"), NAME)


def test_bucket_is_found_by_the_environment_alone(
    bucket: Bucket, file: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in bucket.environment().items():
        monkeypatch.setenv(name, value)
    open_store(bucket.url).put(NAME, file(b"x"))
    assert list(bucket.store().names()) == [NAME]


def test_places_are_opened_by_path_or_url(tmp_path: Path) -> None:
    for place in (
        tmp_path / "a b",
        str(tmp_path / "a b"),
        f"file://{tmp_path}/a%20b",
        f"file://localhost{tmp_path}/a b",
    ):
        store = open_store(place)
        assert isinstance(store, DirectoryStore)
        assert store.path == tmp_path / "a b"
    assert repr(open_store("s3://bucket/a/b", region="eu-central-1")) == "ObjectStore('s3://bucket/a/b')"
    assert isinstance(open_store("gs://bucket/a", skip_signature=True), ObjectStore)
    assert isinstance(open_store("az://container/a", account_name="x", account_key="eA=="), ObjectStore)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "place",
    [
        "ftp://host/x",
        "http://127.0.0.1/x",
        "memory:///",
        "file://host/x",
        "file://",
        "s3://",
        "s3:///x",
        "s3://key:hunter2@bucket/x",
        "s3://bucket/x?secret=hunter2",
        "az://container/a?sig=hunter2",
        "s3://bucket/x#hunter2",
    ],
)
def test_place_that_is_none_is_refused_without_its_secrets(place: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_store(place)
    assert "hunter2" not in str(caught.value)


def test_options_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="takes no options"):
        open_store(tmp_path, region="x")
    with pytest.raises(ConfigurationError, match="nonsense"):
        open_store("s3://bucket/x", nonsense=1)


def test_archives_are_named_by_tenant_and_time() -> None:
    tenant = uuid.uuid4()
    moments = [
        datetime.datetime(2026, 11, 22, 11, 30, 0, 5, tzinfo=datetime.UTC),
        datetime.datetime(2026, 11, 22, 13, 30, 0, 4, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
        datetime.datetime(1999, 1, 2, tzinfo=datetime.UTC),
    ]
    names = [archive_name(tenant, moment) for moment in moments]
    assert [parse_archive_name(check_name(name)) for name in names] == [(tenant, moment) for moment in moments]
    assert sorted(names) == names[::-1]
    for other in ("", "x", names[0][1:], names[0].replace(".tenantry", ".zip"), names[0].replace("1122t", "1199t")):
        assert parse_archive_name(other) is None
