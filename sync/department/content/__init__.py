"""Everything that opens content: the key service and its guard, reads, held content, packages."""
