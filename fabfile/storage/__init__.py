"""Where backups are kept: what a store promises, and the adapters that keep the promise."""
