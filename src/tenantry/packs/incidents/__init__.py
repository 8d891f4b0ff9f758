"""Incidents: workflows report events, failures become incidents, what is decided and done about them is kept."""
