"""The unit's configuration: typed fields, the file, its record in the log."""
