# Test model relationships
python -c "
from core.database.models import Ticket, Agent, Company
print('✅ Model relationships defined')
"

# Test database factory
python -c "
from core.database.factory import DatabaseFactory
factory = DatabaseFactory()
print('✅ Database factory ready')
"
