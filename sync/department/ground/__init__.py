"""What every room of the department stands on: its home, settings, TLS, ports and local time."""
