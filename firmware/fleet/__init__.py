"""What the department sends to a unit, and when the unit may sync."""
