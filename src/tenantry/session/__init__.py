"""Sessions bound to one tenant for life, the guard on their statements, the async door, and the operator."""
