"""Planted security faults: each takes one defence out of the library, and a leak test must fail for it."""

from mutants import postgres, sessions, sqlite
from mutants.mutant import MUTANTS, Mutant

__all__ = ["MUTANTS", "Mutant", "postgres", "sessions", "sqlite"]
