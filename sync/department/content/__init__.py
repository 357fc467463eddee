"""All that opens content: the key service, its guard, reads, held content, packages."""
