"""The round: what to ask next, and what an answer changes. Pure functions, no files."""
