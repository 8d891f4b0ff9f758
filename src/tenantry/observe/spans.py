"""Spans for OpenTelemetry: of each transaction of a tenant, each statement in it, and each long operation."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from tenantry.errors import ExtraMissing
from tenantry.events import Step, listen, watch
from tenantry.observe.core import Observer
from tenantry.observe.logs import ABOUT
from tenantry.observe.transactions import Sent, Transaction

try:
    from opentelemetry import context as contexts
    from opentelemetry import trace
except ImportError as error:
    raise ExtraMissing(module="tenantry.observe.spans", extra="otel") from error

# What is told of a step; other facts may hold what a tenant wrote.
_STEP_FACTS: Final = ("tenant", "entry", "run", "verb", "target", "home", "table", "done", "total")


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


def export_operations(provider: trace.TracerProvider | None = None) -> Callable[[], None]:
    """Has every long operation become a span, its steps events of it: a tenant's creation, an upgrade of the fleet, a
    backup, a restore, a move, an erasure. The result ends that.
    """
    tracer = trace.get_tracer("tenantry", tracer_provider=provider)
    running: list[trace.Span] = []

    @contextlib.contextmanager
    def around(operation: str) -> Iterator[None]:
        with tracer.start_as_current_span(f"tenantry.{operation}") as span:
            running.append(span)
            try:
                yield
            finally:
                running.remove(span)

    def told(step: Step) -> None:
        span = trace.get_current_span()
        if span in running:
            _add_step(span, step)
        elif step.operation == "fleet" and len(running) == 1:
            # The fleet works in threads of its own, which know of no span.
            _add_step(running[0], step)

    ends = contextlib.ExitStack()
    ends.callback(watch(around))
    ends.callback(listen(told))
    return ends.close


def _add_step(span: trace.Span, step: Step) -> None:
    known = {name: str(step.facts[name]) for name in _STEP_FACTS if step.facts.get(name) is not None}
    span.add_event(f"{step.operation} {step.name}", known)
    if "tenant" in known:
        span.set_attribute("tenantry.tenant_id", known["tenant"])


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
