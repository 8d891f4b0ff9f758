"""Spans for OpenTelemetry: one for each transaction of a tenant, and one for each statement in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tenantry.errors import ExtraMissing
from tenantry.observe.core import Observer
from tenantry.observe.logs import ABOUT
from tenantry.observe.transactions import Sent, Transaction

try:
    from opentelemetry import context as contexts
    from opentelemetry import trace
except ImportError as error:
    raise ExtraMissing(module="tenantry.observe.spans", extra="otel") from error


def export_spans(observer: Observer, provider: trace.TracerProvider | None = None) -> Callable[[], None]:
    """Has every transaction told to OpenTelemetry once it is over, inside the span it began in; the result ends that.

    A span carries the tenant and what the session knows of its request; statements are shown without values.
    """
    tracer = trace.get_tracer("tenantry", tracer_provider=provider)

    def begun(transaction: Transaction) -> None:
        transaction.context = contexts.get_current()

    def over(transaction: Transaction) -> None:
        if transaction.sent is not None:
            _export(tracer, transaction, transaction.sent)

    return observer.listen(over, began=begun)


def _export(tracer: trace.Tracer, transaction: Transaction, sent: list[Sent]) -> None:
    ended = time.time()
    whole = tracer.start_span(
        "tenantry.transaction",
        context=transaction.context,
        kind=trace.SpanKind.INTERNAL,
        start_time=_nanoseconds(ended - transaction.seconds),
        attributes={
            **_whose(transaction),
            "tenantry.committed": transaction.committed,
            "tenantry.statements": transaction.statements,
        },
    )
    inside = trace.set_span_in_context(whole, transaction.context)
    for statement in sent:
        _export_statement(tracer, transaction, statement, inside)
    whole.end(_nanoseconds(ended))


def _export_statement(tracer: trace.Tracer, transaction: Transaction, sent: Sent, inside: Any) -> None:
    span = tracer.start_span(
        sent.statement.partition(" ")[0].upper() or "statement",
        context=inside,
        kind=trace.SpanKind.CLIENT,
        start_time=_nanoseconds(sent.began_at),
        attributes={**_whose(transaction), "db.query.text": sent.statement},
    )
    if sent.error:
        span.set_attribute("error.type", sent.error)
        span.set_status(trace.Status(trace.StatusCode.ERROR, sent.error))
    span.end(_nanoseconds(sent.began_at + sent.seconds))


def _whose(transaction: Transaction) -> dict[str, str]:
    known = {f"tenantry.{name}": str(transaction.facts[name]) for name in ABOUT if transaction.facts.get(name)}
    return {
        "db.system.name": transaction.engine.dialect.name,
        "tenantry.tenant": transaction.tenant.slug,
        "tenantry.tenant_id": str(transaction.tenant.id),
        **known,
    }


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
