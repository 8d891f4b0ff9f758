"""Migrations over every home of the fleet: planned, tried on canaries, carried on after a crash."""
