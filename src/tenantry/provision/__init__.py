"""Placements made and dropped, and what ``install()`` puts on a server."""
