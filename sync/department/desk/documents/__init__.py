"""Documents for units: hot lists, configurations, updates, signed by a call of a person."""
