"""Map units of work over processes; which executor does it never changes a result."""
