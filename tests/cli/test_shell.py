"""``tenantry shell``: a line, or a conversation, inside one tenant's session."""

from __future__ import annotations

COUNT = "print('tickets:', db.scalar(select(func.count()).select_from(Ticket)))"


def test_a_line_of_code(shop):
    assert shop.call("shell", "acme", "-c", "db.add(Ticket(subject='one')); db.commit()").code == 0
    assert shop.call("shell", "acme", "-c", COUNT).out.strip() == "tickets: 1"


def test_nothing_is_kept_without_a_commit(shop):
    assert shop.call("shell", "acme", "-c", "db.add(Ticket(subject='one')); db.flush()").code == 0
    assert shop.call("shell", "acme", "-c", COUNT).out.strip() == "tickets: 0"


def test_another_tenants_rows_are_not_there(shop):
    shop.call("tenants", "create", "beta", "--isolation", "rows")
    shop.call("tenants", "create", "delta", "--isolation", "rows")
    shop.call("shell", "beta", "-c", "db.add(Ticket(subject='secret')); db.commit()")
    assert shop.call("shell", "delta", "-c", COUNT).out.strip() == "tickets: 0"
    raw = "print(db.execute(text('select count(*) from tickets')).scalar())"
    assert shop.call("shell", "delta", "-c", raw).out.strip() == "0"


def test_a_conversation_says_whose_data_it_is(shop):
    result = shop.run("shell", "slack:T012", stdin=f"{COUNT}\nprint(tenant.slug)\n")
    assert result.code == 0
    assert "This is the data of acme (acme), database on main, nobody else's." in result.said
    assert "tickets: 0" in result.out
    assert "acme" in result.out


def test_an_error_in_the_line_is_one_sentence(shop):
    result = shop.call("shell", "acme", "-c", "x = 1\nx / 0")
    assert result.code == 1
    assert "Line 2: ZeroDivisionError: division by zero" in result.said
    assert shop.call("shell", "acme", "-c", "if").code == 1


def test_a_line_may_end_the_process_itself(shop):
    assert shop.call("shell", "acme", "-c", "raise SystemExit(7)").code == 7


def test_a_tenant_that_gets_no_session(shop):
    assert shop.call("shell", "nobody").code == 2
    shop.call("tenants", "suspend", "acme")
    result = shop.call("shell", "acme", "-c", COUNT)
    assert result.code == 2
    assert "is suspended" in result.said
