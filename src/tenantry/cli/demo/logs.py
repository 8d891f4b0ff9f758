"""Customers out of real help-desk logs, and where each is placed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tenantry.cli.demo.customers import Customer, Place
from tenantry.packs.helpdesk.samples_logs import read_desks

PLACES: Final = {
    "software-firm": Place.ROWS,
    "volvo-c-sweden": Place.ROWS,
    "volvo-c-poland": Place.SCHEMA,
    "volvo-c-brazil": Place.SCHEMA,
    "volvo-c-elsewhere": Place.ROWS,
    "volvo-a2": Place.DATABASE,
    "volvo-b": Place.SQLITE_ROWS,
    "volvo-other": Place.SQLITE_FILE,
    "volvo-small-lines": Place.SQLITE_ROWS,
    "ubuntu-2004-2006": Place.DATABASE,
    "ubuntu-2007-2010": Place.SQLITE_FILE,
    "ubuntu-2011-2018": Place.ROWS,
}


def read_customers(directory: Path) -> list[Customer]:
    """Returns the twelve customers that the logs in *directory* make.

    Raises: ConfigurationError when a log is missing.
    """
    return [
        Customer(
            slug, desk.company, PLACES[slug], [*desk.agents.values()], [*desk.tickets.values()], desk.conversations
        )
        for slug, desk in read_desks(directory).items()
    ]
