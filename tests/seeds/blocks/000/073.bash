# Test database connection
python -c "
from core.database.manager import get_db_manager
manager = get_db_manager('wedosoft', 'freshdesk')
print('✅ Database manager ready')
"

# Test repository pattern
python -c "
from core.repositories.ticket_repository import TicketRepository
repo = TicketRepository()
print('✅ Repository pattern OK')
"

# Test multi-tenant factory
python -c "
from core.database.factory import get_database
db = get_database('test_tenant', 'freshdesk')
print('✅ Multi-tenant factory OK')
"
