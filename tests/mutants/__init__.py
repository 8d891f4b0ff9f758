"""Planted security faults: each takes one defence out of the library, and a test of it must fail."""

from mutants import doors, kept, postgres, search, sessions, sqlite
from mutants.mutant import MUTANTS, Mutant

__all__ = ["MUTANTS", "Mutant", "doors", "kept", "postgres", "search", "sessions", "sqlite"]
