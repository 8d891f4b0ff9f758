"""What is taken out of texts, and that it takes no longer than the text is long."""

from __future__ import annotations

import pytest

from tenantry import errors
from tenantry.audit import IpAddresses, Redactor

EXAMPLES = {
    "write to bob.o'neil+x@mail.example.co.uk now": "write to bob.o'[email] now",
    "ann@example.com,bea@example.com": "[email],[email]",
    "not@mail, a@b": "not@mail, a@b",
    "from 192.168.1.77:5432": "from 192.168.1.0/24:5432",
    "999.1.1.1 and 1.2.3 and 1.2.3.4.5": "999.1.1.1 and 1.2.3 and 1.2.3.4.5",
    "at 12:30:45.123, std::vector": "at 12:30:45.123, std::vector",
    "from 2001:db8:1:2::7 and ::1": "from 2001:db8:1::/48 and ::/48",
    "ip:10.1.2.3, ::ffff:10.1.2.3": "ip:10.1.2.0/24, ::/48",
    "[2001:db8::1]": "[2001:db8::/48]",
    "Version 10.0.0.1.": "Version 10.0.0.0/24.",
}


@pytest.mark.parametrize("text", EXAMPLES)
def test_addresses_go(text: str) -> None:
    assert Redactor().text(text) == EXAMPLES[text]


def test_ip_addresses_are_truncated_hashed_dropped_or_kept() -> None:
    said = {ip: Redactor(ip=ip, key=b"k" * 16).text("from 10.1.2.3") for ip in IpAddresses}
    assert said[IpAddresses.TRUNCATE] == "from 10.1.2.0/24"
    assert said[IpAddresses.DROP] == "from [ip]"
    assert said[IpAddresses.KEEP] == "from 10.1.2.3"
    assert said[IpAddresses.HASH].startswith("from [ip ")
    assert said[IpAddresses.HASH] == Redactor(ip="hash", key=b"k" * 16).text("from 10.1.2.3")
    assert said[IpAddresses.HASH] != Redactor(ip="hash", key=b"x" * 16).text("from 10.1.2.3")
    assert "k" * 16 not in repr(Redactor(ip="hash", key=b"k" * 16))
    with pytest.raises(errors.ConfigurationError, match="need a key"):
        Redactor(ip="hash")


def test_every_text_of_a_document_is_looked_at() -> None:
    document = {"to ann@example.com": ["x", {"y": "bea@example.com"}], "n": 1, "inf": float("inf"), "none": None}
    expected = {"to [email]": ["x", {"y": "[email]"}], "n": 1, "inf": "inf", "none": None}
    assert Redactor().document(document) == expected


def test_more_can_be_taken_out_and_emails_can_stay() -> None:
    redactor = Redactor(emails=False, also=lambda text: text.replace("4711", "[card]\x00"))
    assert redactor.text("ann@example.com paid with 4711") == "ann@example.com paid with [card]\ufffd"


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "a." * 100_000, "1." * 100_000, ":" * 200_000, "1:" * 100_000, "@" * 200_000]
)
def test_a_long_text_is_read_once(text: str) -> None:
    """Each of these takes hours where every beginning is tried to the end."""
    assert Redactor().text(text) == text
