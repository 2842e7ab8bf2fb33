"""Exchange with files and programs that people already use: one format a file."""
