"""Recovery points: taken, listed, and given back to hosts and databases."""
