cp .env.example .env
