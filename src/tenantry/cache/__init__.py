"""Results kept per tenant and dropped with the commit that makes them old; the stores are in ``memory``, ``redis``."""

from tenantry.cache.core import Cache
from tenantry.cache.statistics import Statistics
from tenantry.cache.stores import Store

__all__ = ["Cache", "Statistics", "Store"]
