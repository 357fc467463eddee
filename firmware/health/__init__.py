"""The unit's reports about itself: alarms, scene watch, habits, metrics."""
