# Start development environment with sample data
docker-compose --profile dev up -d

# Build package
python -m build

# Install locally
pip install -e .
