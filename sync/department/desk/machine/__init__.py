"""What two people decide about the server: that its clock is right, that a backlog may be purged."""
