"""The six fixtures, known to every test below."""

pytest_plugins = ["tenantry.packs.documents.fixtures"]
