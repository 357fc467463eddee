"""The department's signed policy as values: terms, roles, clauses, controls, refusals. No I/O."""
