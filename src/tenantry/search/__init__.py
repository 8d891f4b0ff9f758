"""Full-text search and search for what is written alike, inside one tenant: behind the wall, and by indexes."""

from tenantry.search.core import Found, Search, by_words

__all__ = ["Found", "Search", "by_words"]
