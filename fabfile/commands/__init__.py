"""What is said to a host: one noun per file, words in, bash out, and the parser of the answer. No effects here."""
