"""What the product talks about: frozen values with no behaviour beyond their own meaning."""
