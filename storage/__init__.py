"""Custody: the ledger of sealed, signed and provable records on the unit.

Promises: nothing altered, forged or dropped unseen; nothing readable at rest;
a purge really destroys; no access to content without an entry in the log.
"""
