"""The unit's report on itself: alarms, scene watch, habits, metrics."""
