"""The department's store of what units sent: logs, elements, packs, health, incidents. SQLAlchemy Core."""
