"""The control plane: tenants, identities, servers, placements, lifecycle, and the journal of long operations."""
