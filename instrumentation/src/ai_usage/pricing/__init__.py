"""Exact cost of a call: rates from maintained price data, compiled once per model, Decimal throughout."""

from __future__ import annotations

from ai_usage.pricing.book import calculate_cost, cost_of
from ai_usage.pricing.cost import Cost, CostStatus, PriceRef
from ai_usage.pricing.rates import Rates, TieredRates

__all__ = ["Cost", "CostStatus", "PriceRef", "Rates", "TieredRates", "calculate_cost", "cost_of"]
