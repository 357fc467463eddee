"""What the department holds of its units: logs, elements, packs, health, incidents. SQLAlchemy Core."""
