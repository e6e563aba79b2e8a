"""The application's database: the port, and PostgreSQL behind it."""
