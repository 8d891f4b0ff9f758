# Install dependencies (development mode)
pip install -e .

# Install with all development dependencies
pip install -e ".[dev]"

# Using pipenv (if Pipfile exists)
pipenv install --dev
