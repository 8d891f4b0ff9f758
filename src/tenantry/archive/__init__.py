"""The archive: one tenant backed up, verified, restored, exported and erased."""
