"""What a call costs: prices per million tokens, by provider and model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Self

from tenantry.errors import ConfigurationError, PriceUnknown
from tenantry.usage.money import rounded

_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a million prompt tokens and of a million completion tokens.

    Raises: ConfigurationError for anything but Decimals of nought or more.
    """

    prompt: Decimal
    completion: Decimal

    def __post_init__(self) -> None:
        for name in ("prompt", "completion"):
            price = getattr(self, name)
            if not isinstance(price, Decimal) or not price.is_finite() or price < 0:
                raise ConfigurationError(
                    what=f"{name}={price!r} is not a price.", fix='Give a Decimal of nought or more: Decimal("2.50").'
                )

    @classmethod
    def per_thousand(cls, prompt: Decimal, completion: Decimal) -> Self:
        """Returns the price where a list names it for a thousand tokens.

        Raises: ConfigurationError as the class does.
        """
        return cls(prompt * 1000, completion * 1000)

    def of(self, prompt_tokens: int, completion_tokens: int) -> Decimal:
        """Returns what a call costs, to the millionth."""
        return rounded((prompt_tokens * self.prompt + completion_tokens * self.completion) / _MILLION)


# By ("openai", "gpt-4o"), or by "openai" for every model of a provider that has no price of its own.
Prices = Mapping[tuple[str, str] | str, Price]


def price_of(prices: Prices, provider: str, model: str) -> Price:
    """Returns the price of a model, else that of its provider.

    Raises: PriceUnknown.
    """
    found = prices.get((provider, model)) or prices.get(provider)
    if found is None:
        raise PriceUnknown(provider=provider, model=model)
    return found
