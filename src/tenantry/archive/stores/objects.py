"""A store on object storage: Amazon S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

from tenantry.archive.libraries import obstore
from tenantry.archive.room import unwritten
from tenantry.archive.stores.naming import NAME, check_name, directory_of
from tenantry.errors import ArchiveExists, ArchiveUnknown, ConfigurationError, StoreUnavailable

SCHEMES: Final = ("s3", "gs", "az")
# What goes in one request: each has its own time limit, so a slow line fails by the part and not by the archive.
PART: Final = 8 << 20

_MOST_PARTS: Final = 9_000
_AT_ONCE: Final = 2
_STEP: Final = 1 << 20
_CLIENT: Final = {"connect_timeout": "5s", "timeout": "60s"}
_RETRIES: Final = {"max_retries": 3, "retry_timeout": datetime.timedelta(seconds=60)}
_NO_BUCKET: Final = re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist", re.IGNORECASE)
_ABSENT: Final = (FileNotFoundError, obstore.exceptions.NotFoundError)
_ANSWER: Final = re.compile(r"<Code>(\w{1,60})</Code>|status code: (\d{3}(?: [A-Za-z]+)*)(?!.*<Code>\w)", re.DOTALL)
_LONGEST_REASON: Final = 300


class ObjectStore:
    """Keeps files as objects of a bucket, below the URL's path; credentials come from the environment or the options.

    Options go to obstore as they are: ``endpoint=``, ``region=``, ``client_options={"allow_http": True}``,
    ``retry_config=``, ``credential_provider=`` and so on. ``spool=`` is the directory in which ``get`` holds the object
    while it is read, since what was checked must be what is used; the file in it has no name.

    Raises: ConfigurationError for a URL of another kind, one that holds a password, or an option that is none.
    """

    def __init__(self, url: str, *, spool: str | os.PathLike[str] | None = None, **options: Any) -> None:
        self.url = _checked_url(url)
        self._spool = spool
        options["client_options"] = {**_CLIENT, **_from_env(), **options.get("client_options", {})}
        options["retry_config"] = {**_RETRIES, **options.get("retry_config", {})}
        try:
            self._objects = obstore.store.from_url(self.url, **options)
        except (obstore.exceptions.BaseError, TypeError, ValueError) as error:
            raise ConfigurationError(
                what=f"The store {self.url} cannot be set up: {_reason(error)}", fix="Mend the URL or the options."
            ) from None

    def __repr__(self) -> str:
        return f"ObjectStore({self.url!r})"

    def put(self, name: str, path: str | os.PathLike[str]) -> None:
        """Keeps a copy of the file at *path*; if these very bytes are there already, that is well.

        Raises: ArchiveExists, StoreUnavailable.
        """
        check_name(name)
        with Path(path).open("rb") as source:
            size = os.fstat(source.fileno()).st_size
            if size <= PART:
                self._put_at_once(name, source)
            else:
                self._put_in_parts(name, source, size=size)

    @contextlib.contextmanager
    def get(self, name: str) -> Iterator[BinaryIO]:
        """Gives the object of that name, fetched whole into a nameless file.

        Raises: ArchiveUnknown, StoreFull, StoreUnavailable.
        """
        check_name(name)
        with contextlib.ExitStack() as stack:
            with self._told():
                file = stack.enter_context(tempfile.TemporaryFile(dir=self._spool, prefix="tenantry-"))
                self._fetch(name, file)
                file.seek(0)
            yield file

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yields the names that begin with *prefix*, in order.

        Raises: StoreUnavailable.
        """
        with self._told():
            pages = obstore.list(self._objects, prefix=directory_of(prefix) or None)
            found = sorted(item["path"] for page in pages for item in page)
        yield from (name for name in found if name.startswith(prefix) and NAME.fullmatch(name))

    def delete(self, name: str) -> None:
        """Removes the object of that name; a bucket that keeps old versions keeps them.

        Raises: StoreUnavailable.
        """
        check_name(name)
        with self._told():
            try:
                obstore.delete(self._objects, name)
            except _ABSENT as error:
                if _NO_BUCKET.search(str(error)):
                    raise

    def _put_at_once(self, name: str, source: BinaryIO) -> None:
        try:
            with self._told():
                obstore.put(self._objects, name, source, mode="create", use_multipart=False)
        except obstore.exceptions.AlreadyExistsError:
            self._check_same(name, source)

    def _put_in_parts(self, name: str, source: BinaryIO, *, size: int) -> None:
        """Puts a large file; it shows when its last part is there.

        Object storage takes no condition on an upload in parts, so the name is looked up before.
        """
        if self._head(name) is not None:
            self._check_same(name, source)
            return
        part = max(PART, -(-size // _MOST_PARTS))
        with self._told():
            obstore.put(self._objects, name, source, use_multipart=True, chunk_size=part, max_concurrency=_AT_ONCE)
        found = self._head(name)
        if found is None or found["size"] != size:
            self.delete(name)
            raise StoreUnavailable(store=repr(self), reason=f"{name!r} arrived with another size.")

    def _check_same(self, name: str, source: BinaryIO) -> None:
        """An upload that is tried again after its answer was lost meets itself.

        Raises: ArchiveExists for other bytes.
        """
        source.seek(0)
        with self.get(name) as stored:
            same = all(left == right for left, right in itertools.zip_longest(_steps(source), _steps(stored)))
        if not same:
            raise ArchiveExists(store=repr(self), name=name)

    def _head(self, name: str) -> obstore.ObjectMeta | None:
        with self._told():
            try:
                return obstore.head(self._objects, name)
            except _ABSENT:
                return None

    def _fetch(self, name: str, file: BinaryIO) -> None:
        first = self._first(name)
        _write(file, first.bytes(), name=name)
        size, tag = first.meta["size"], first.meta["e_tag"]
        for start in range(PART, size, PART):
            # The same object in every part, though another were put under its name meanwhile.
            options: obstore.GetOptions = {"range": (start, min(start + PART, size)), "if_match": tag}
            _write(file, obstore.get(self._objects, name, options=options).bytes(), name=name)

    def _first(self, name: str) -> obstore.GetResult:
        try:
            return obstore.get(self._objects, name, options={"range": (0, PART)})
        except _ABSENT as error:
            if _NO_BUCKET.search(str(error)):
                raise
            raise ArchiveUnknown(store=repr(self), name=name) from None

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Has what obstore says told in our words, which hold no URL with a signature."""
        try:
            yield
        except obstore.exceptions.AlreadyExistsError:
            raise
        except (obstore.exceptions.BaseError, OSError) as error:
            raise StoreUnavailable(store=repr(self), reason=_reason(error)) from None


def _from_env() -> dict[str, Any]:
    """obstore reads AWS_ENDPOINT_URL itself, but not the variable that goes with one without TLS."""
    return {"allow_http": True} if os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true" else {}


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise ConfigurationError(
            what=f"{parts.scheme[:20]}://… is no object storage.",
            fix="Use s3://bucket/path, gs://bucket/path or az://container/path.",
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(
            what=f"The URL of the store {parts.scheme}://{parts.hostname} holds more than a place.",
            fix="Give credentials by the environment or by options, never in the URL.",
        )
    return url


def _write(file: BinaryIO, data: obstore.Bytes, *, name: str) -> None:
    try:
        file.write(data)
    except OSError as error:
        raise unwritten(error, name=name, store=file.name) from error


def _steps(file: BinaryIO) -> Iterator[bytes]:
    while step := file.read(_STEP):
        yield step


def _reason(error: Exception) -> str:
    """Returns what the far side answered, and nothing of what was asked: a URL may hold a signature."""
    said = str(error)
    answered = _ANSWER.search(said)
    if answered:
        return f"it answered {answered.group(1) or answered.group(2)}."
    first = (said.strip().splitlines() or [type(error).__name__])[0]
    return f"{first.rpartition(' - ')[2][:_LONGEST_REASON].rstrip('.')}."
