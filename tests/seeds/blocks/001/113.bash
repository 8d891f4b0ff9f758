# Run comprehensive test suite
cd src
python test_database.py

# You should see:
# ✓ All tests passed!
