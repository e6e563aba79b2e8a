"""Decisions: from what was observed and what is wanted to what will be done. Pure."""
