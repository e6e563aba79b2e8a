"""The steps that runs are made of: each pairs what is done with how it is taken back."""
