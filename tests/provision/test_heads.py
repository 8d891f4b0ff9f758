"""The head of the scripts is read from their literals, and belongs to the process that read it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tenantry import errors
from tenantry.provision.heads import Scripts, head_of

from .places import write_revision


def write(directory: Path, name: str, text: str) -> None:
    versions = directory / "versions"
    versions.mkdir(exist_ok=True)
    (versions / name).write_text(text)


def test_the_head_is_the_revision_that_none_follows(tmp_path: Path) -> None:
    for name, down in (("b", "a"), ("a", None), ("c", "b")):
        write_revision(tmp_path, name, down)
    assert head_of(tmp_path) == "c"


def test_every_way_in_which_alembic_writes_a_revision_is_read(tmp_path: Path) -> None:
    write(tmp_path, "1_plain.py", 'revision = "a"\ndown_revision = None\n')
    write(tmp_path, "2_typed.py", 'revision: str = "b"\ndown_revision: str | None = "a"\nimport nothing_of_that_name\n')
    write(tmp_path, "3_other.py", 'down_revision = "a"\nrevision = "c"\n')
    write(tmp_path, "4_merge.py", 'revision = "d"\ndown_revision = ("b", "c")\n')
    write(tmp_path, "__init__.py", "raise RuntimeError('a script is read, not run')")
    write(tmp_path, "common.py", "NAME = 'no revision at all'")
    assert head_of(tmp_path) == "d"


def test_two_heads_are_refused_by_name(tmp_path: Path) -> None:
    for name, down in (("a", None), ("b", "a"), ("c", "a")):
        write_revision(tmp_path, name, down)
    with pytest.raises(errors.SeveralHeads, match="2 heads: b, c"):
        head_of(tmp_path)


@pytest.mark.parametrize("text", ["revision = make()\n", "revision = 'a'\ndown_revision = [\n"])
def test_a_file_that_does_not_say_its_place_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, "odd.py", text)
    with pytest.raises(errors.ConfigurationError, match=r"odd\.py"):
        head_of(tmp_path)


def test_no_directory_is_an_error_once_the_head_is_asked_for(tmp_path: Path) -> None:
    scripts = Scripts(str(tmp_path / "nowhere"))
    with pytest.raises(errors.MigrationsMissing):
        scripts.head()


def test_no_migrations_and_no_revision_are_no_head(tmp_path: Path) -> None:
    (tmp_path / "versions").mkdir()
    assert Scripts(None).head() is None
    assert Scripts(str(tmp_path)).head() is None


def test_what_is_deployed_under_a_running_process_is_not_its_own(tmp_path: Path) -> None:
    write_revision(tmp_path, "a")
    scripts = Scripts(str(tmp_path))
    write_revision(tmp_path, "b", "a")
    assert scripts.head() == "a"
    assert Scripts(str(tmp_path)).head() == "b"
    scripts.forget()
    assert scripts.head() == "b"


def test_reading_the_head_imports_no_alembic(tmp_path: Path) -> None:
    write_revision(tmp_path, "a")
    program = (
        "import sys; from tenantry.provision.heads import Scripts; "
        f"assert Scripts({str(tmp_path)!r}).head() == 'a'; sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
