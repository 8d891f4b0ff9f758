"""A company's energy profile, and the reports that it keeps."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Float, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tenantry.ids import uuid7
from tenantry.models import JSONDocument, Timestamps, UTCDateTime
from tenantry.models.columns import utc_now
from tenantry.packs.assistant.base import AssistantBase, OfCompany

_WEIGHTS = ("energy_mix_weight", "price_optimization_weight", "portfolio_decision_weight")
_SUM = " + ".join(_WEIGHTS)


def _percentage(column: str) -> CheckConstraint:
    return CheckConstraint(f"{column} >= 0 AND {column} <= 100", name=f"ck_profiles_{column}")


class Profile(OfCompany, Timestamps, AssistantBase):
    """The company's energy: what it uses, what it aims at, and how much each goal weighs in its reports."""

    __tablename__ = "profiles"
    __table_args__ = (
        UniqueConstraint("company_id"),
        # 0.4 + 0.35 + 0.25 is not exactly 1 in every order of adding.
        CheckConstraint(f"{_SUM} BETWEEN 0.999999 AND 1.000001", name="ck_profiles_weights"),
        *(CheckConstraint(f"{weight} >= 0", name=f"ck_profiles_{weight}") for weight in _WEIGHTS),
        _percentage("current_renewable_percentage"),
        _percentage("renewable_percentage_increase"),
        CheckConstraint("total_consumption_kwh >= 0", name="ck_profiles_total_consumption_kwh"),
        CheckConstraint("budget >= 0", name="ck_profiles_budget"),
    )

    industry: Mapped[str | None] = mapped_column(String)
    location: Mapped[str | None] = mapped_column(String)
    target_year: Mapped[int | None] = mapped_column(Integer)
    renewable_percentage_increase: Mapped[float | None] = mapped_column(Float)
    budget: Mapped[float | None] = mapped_column(Float)
    historical_data_uploaded: Mapped[bool] = mapped_column(default=False)
    chroma_collection_name: Mapped[str | None] = mapped_column(String)
    total_consumption_kwh: Mapped[float | None] = mapped_column(Float)
    current_renewable_percentage: Mapped[float | None] = mapped_column(Float)
    sustainability_score: Mapped[float | None] = mapped_column(Float)
    onboarding_completed: Mapped[bool] = mapped_column(default=False)
    energy_mix_weight: Mapped[float] = mapped_column(Float, default=0.4)
    price_optimization_weight: Mapped[float] = mapped_column(Float, default=0.35)
    portfolio_decision_weight: Mapped[float] = mapped_column(Float, default=0.25)


def _report_name() -> str:
    return uuid7().hex


class SavedReport(OfCompany, AssistantBase):
    """A report that was generated and kept; ``report_id`` is its name, made up where it came without one."""

    __tablename__ = "saved_reports"
    __table_args__ = (
        UniqueConstraint("report_id"),
        CheckConstraint("confidence >= 0 AND confidence <= 1", name="ck_saved_reports_confidence"),
        Index(None, "user_id", "saved_at"),
    )

    report_id: Mapped[str] = mapped_column(String, default=_report_name)
    report_type: Mapped[str | None] = mapped_column(String)
    report_data: Mapped[Any | None] = mapped_column(JSONDocument)
    title: Mapped[str | None] = mapped_column(String)
    tags: Mapped[list[Any] | None] = mapped_column(JSONDocument)
    confidence: Mapped[float | None] = mapped_column(Float)
    token_usage: Mapped[dict[str, Any] | None] = mapped_column(JSONDocument)
    user_id: Mapped[int | None] = mapped_column(Integer)
    generated_at: Mapped[datetime.datetime] = mapped_column(UTCDateTime, default=utc_now)
    saved_at: Mapped[datetime.datetime] = mapped_column(UTCDateTime, default=utc_now)
