"""The base of all rooms of the department: home, settings, TLS, ports and local time."""
