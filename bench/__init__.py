"""What the walls cost: ratios measured side by side, on the same server and driver, in one run."""
