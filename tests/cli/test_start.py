"""How the command line starts: its help, what it imports for it, and how a program is named."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

from tenantry.cli import commands


def test_help_names_every_command(program):
    result = program.call("--help")
    assert result.code == 0
    assert all(name in result.out for name in commands.COMMANDS)
    assert "[tool.tenantry]" in result.said
    assert "Exit codes" in result.out


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_the_line_in_the_help_is_the_commands_own(name, program):
    """The lines stand apart from the commands, so that help imports none; they must not drift."""
    assert " ".join(commands.load(name).help.split()).startswith(commands.COMMANDS[name][1])
    result = program.call(name, "--help")
    assert result.code == 0
    assert "Examples:" in result.out


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version_import_no_database_library(arguments):
    code = (
        "import sys\n"
        "from tenantry.cli import main\n"
        "sys.argv[1:] = {0!r}\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "found = [name for name in ('sqlalchemy', 'psycopg', 'asyncpg', 'sqlite3', 'asyncio') if name in sys.modules]\n"
        "print('HEAVY', found, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code.format(arguments)], capture_output=True, text=True, check=True)
    assert done.stderr.strip().endswith("HEAVY []")


def test_version(program):
    assert program.run("--version").out.strip() == importlib.metadata.version("tenantry")


def test_a_missing_extra_is_one_sentence():
    code = "import sys; sys.modules['typer'] = None; from tenantry.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("tenantry: The command line needs a package that is not installed.")
    assert done.stderr.strip().endswith('Run: pip install "tenantry[cli]".')


def test_without_arguments_the_help_is_shown(program):
    result = program.call()
    assert result.code == 2
    assert "Usage:" in result.said


def test_an_unknown_command_is_a_mistake(program):
    result = program.run("frobnicate")
    assert result.code == 2
    assert "No such command" in result.said


def test_no_program_is_named(program):
    (program.directory / "pyproject.toml").unlink()
    result = program.call("doctor")
    assert result.code == 2
    assert "no program was named" in result.err
    assert "TENANTRY_APP" in result.err


def test_a_program_named_by_option_and_by_environment(shop):
    (shop.directory / "pyproject.toml").unlink()
    named = f"{shop.module}:tenancy"
    assert shop.call("--app", named, "tenants", "show", "acme").code == 0
    shop.environment["TENANTRY_APP"] = named
    assert shop.call("tenants", "show", "acme").code == 0


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ("shop", "does not have the form module:name"),
        ("no.such.module:tenancy", "There is no module 'no'"),
        ("{module}:nothing", "has no 'nothing'"),
        ("{module}:Base", "not a Tenancy"),
        ("broken:tenancy", "broken could not be imported: ZeroDivisionError: division by zero (broken.py:2)"),
        ("needy:tenancy", "needy could not be imported: ModuleNotFoundError: No module named 'not_there'"),
        ("wrong:tenancy", "Tenantry does not speak to mysql"),
    ],
)
def test_a_program_that_cannot_be_had_is_one_sentence(shop, named, sentence):
    (shop.directory / "broken.py").write_text("\n1 / 0\n")
    (shop.directory / "needy.py").write_text("import not_there\n")
    (shop.directory / "wrong.py").write_text(
        "from sqlalchemy import MetaData\nfrom tenantry import Tenancy\n"
        "tenancy = Tenancy('mysql://u:hush@h/d', MetaData())\n"
    )
    result = shop.call("--app", named.format(module=shop.module), "doctor")
    assert result.code == 2
    assert sentence in result.said
    assert "hush" not in result.said


def test_a_pyproject_that_cannot_be_read(shop):
    (shop.directory / "pyproject.toml").write_text("[tool.tenantry\n")
    result = shop.call("doctor")
    assert result.code == 2
    assert "pyproject.toml cannot be read" in result.said
