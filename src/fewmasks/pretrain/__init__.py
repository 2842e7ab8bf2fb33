"""Learn from items without labels: one method a file, one loop for all of them."""
