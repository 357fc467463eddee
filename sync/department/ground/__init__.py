"""The base of every room of the department: its home, settings, TLS, ports and local time."""
