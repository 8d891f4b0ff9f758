"""``tenantry doctor``: its exit codes, its JSON and its table."""

from __future__ import annotations


def test_a_clean_directory(shop):
    result = shop.run("doctor")
    assert result.code == 0
    assert "0 findings" in result.err


def test_findings_in_json_and_in_a_table(shop):
    data = shop.directory / "data"
    data.chmod(0o755)
    result = shop.call("doctor", "--json")
    assert result.code == 1
    assert result.data["ok"] is False
    assert [set(finding) for finding in result.data["findings"]] == [{"code", "object", "message", "fix"}]
    assert result.data["findings"][0]["code"] == "D801"
    table = shop.call("doctor")
    assert table.code == 1
    assert f"chmod 700 {data}" in table.said
    assert "1 findings" in table.said


def test_a_clean_server(postgres_shop):
    result = postgres_shop.call("doctor", "--json")
    assert [finding for finding in result.data["findings"] if finding["code"] != "D701"] == []
    assert result.data["unseen"] == []


def test_what_could_not_be_looked_at_is_said(postgres_shop):
    for name in ("OWNER", "PLATFORM", "OPERATOR"):
        del postgres_shop.environment[f"TENANTRY_{name}_URL"]
    result = postgres_shop.call("doctor")
    assert "Not looked at" in result.said
    assert "U601" in result.said
