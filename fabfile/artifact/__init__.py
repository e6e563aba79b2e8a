"""Releases as files: made from the team's source, found again in dist/, and checked before a host sees them."""
