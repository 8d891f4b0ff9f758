cd src
python test_database.py
