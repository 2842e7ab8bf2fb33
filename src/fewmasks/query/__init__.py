"""Query strategies and what they are made of: scores, then selectors."""
