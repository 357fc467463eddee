"""What two people decide about the machine: that its clock is right, that a backlog may be purged."""
