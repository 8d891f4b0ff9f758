"""What the company's calls of language models used and cost: recorded call by call, and summed up."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, case, func, select

from tenantry.errors import InvalidUsage, PriceUnknown
from tenantry.packs.assistant.models_chats import TokenUsage
from tenantry.packs.assistant.words import Operation, Provider
from tenantry.repository import Repository
from tenantry.session.core import TenantSession
from tenantry.usage import Price, Total, Totals
from tenantry.usage.prices import Prices, price_of

# Models of one's own cost what the seed says, those on one's own machine nothing; other prices are the application's.
PRICES: Final[Prices] = {
    Provider.CUSTOM.value: Price.per_thousand(Decimal("0.01"), Decimal("0.02")),
    Provider.OLLAMA.value: Price(Decimal(0), Decimal(0)),
}
_MOST: Final = 2**31 - 1
_GROUPS: Final = {
    "user": (TokenUsage.user_id,),
    "provider": (TokenUsage.llm_provider,),
    "model": (TokenUsage.llm_provider, TokenUsage.model_name),
    "operation": (TokenUsage.operation_type,),
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a language model; the cost is taken from the prices unless it is given."""

    provider: str
    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal | None = None

    @property
    def tokens(self) -> dict[str, int]:
        """The counts as messages, logs and reports keep them."""
        total = self.prompt_tokens + self.completion_tokens
        counted = {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens}
        return {**counted, "total_tokens": total}


class Meter:
    """Records calls in the company's ``token_usage``; one whose price nobody knows is recorded without a cost."""

    def __init__(self, prices: Prices = PRICES) -> None:
        self.prices = prices

    def record(
        self,
        session: TenantSession,
        call: Call,
        *,
        operation_type: str = Operation.CHAT,
        operation_id: object = None,
        user_id: int | None = None,
    ) -> TokenUsage:
        """Records one call and returns the row.

        Raises: InvalidUsage for counts that are no counts.
        """
        for name, tokens in (("prompt_tokens", call.prompt_tokens), ("completion_tokens", call.completion_tokens)):
            if not isinstance(tokens, int) or not 0 <= tokens <= _MOST // 2:
                raise InvalidUsage(reason=f"{name}={tokens!r}. Give a whole number from nought to {_MOST // 2}.")
        return TokenUsageRepository(session).create(
            operation_type=str(operation_type),
            operation_id=None if operation_id is None else str(operation_id),
            prompt_tokens=call.prompt_tokens,
            completion_tokens=call.completion_tokens,
            estimated_cost=self.cost(call),
            llm_provider=call.provider,
            model_name=call.model,
            user_id=user_id,
        )

    def cost(self, call: Call) -> Decimal | None:
        """Returns what a call costs, or None where nobody knows its price."""
        if call.cost is not None:
            return call.cost
        try:
            return price_of(self.prices, call.provider, call.model).of(call.prompt_tokens, call.completion_tokens)
        except PriceUnknown:
            return None


class TokenUsageRepository(Repository[TokenUsage]):
    """What the company used, call by call, and its sums, which are nought where there was nothing."""

    def total(
        self,
        *,
        user_id: int | None = None,
        since: datetime.datetime | None = None,
        until: datetime.datetime | None = None,
        provider: str | None = None,
    ) -> Total:
        """Returns what the calls from *since* until before *until* used."""
        chosen = _chosen(user_id, since, until, provider)
        return _total(self.session.execute(select(*_SUMS).where(*chosen)).one())

    def totals(
        self, *, by: str, since: datetime.datetime | None = None, until: datetime.datetime | None = None
    ) -> Totals:
        """Returns the same by ``"user"``, ``"provider"``, ``"model"`` (with its provider) or ``"operation"``.

        Raises: InvalidUsage for any other *by*.
        """
        if by not in _GROUPS:
            raise InvalidUsage(reason=f"by={by!r} is no kind of total. Use one of {', '.join(_GROUPS)}.")
        keys = _GROUPS[by]
        statement = select(*_SUMS, *keys).where(*_chosen(None, since, until, None)).group_by(*keys)
        rows = [tuple(row) for row in self.session.execute(statement)]
        return Totals({_key(row[len(_SUMS) :]): _total(row[: len(_SUMS)]) for row in rows})


_SUMS: Final[Sequence[ColumnElement[Any]]] = (
    func.count(),
    func.sum(TokenUsage.prompt_tokens),
    func.sum(TokenUsage.completion_tokens),
    func.sum(TokenUsage.estimated_cost),
    func.sum(case((TokenUsage.estimated_cost.is_(None), 1), else_=0)),
)


def _chosen(
    user_id: int | None, since: datetime.datetime | None, until: datetime.datetime | None, provider: str | None
) -> list[ColumnElement[bool]]:
    asked: Sequence[tuple[Any, Callable[[Any], ColumnElement[bool]]]] = (
        (user_id, TokenUsage.user_id.__eq__),
        (since, TokenUsage.created_at.__ge__),
        (until, TokenUsage.created_at.__lt__),
        (provider, TokenUsage.llm_provider.__eq__),
    )
    return [compare(value) for value, compare in asked if value is not None]


def _key(parts: tuple[Any, ...]) -> Any:
    return parts[0] if len(parts) == 1 else parts


def _total(row: Any) -> Total:
    # Over no rows a sum is NULL.
    requests, prompt, completion, cost, unpriced = row
    return Total(requests, int(prompt or 0), int(completion or 0), cost or Decimal(0), int(unpriced or 0))
