"""A dataset's figures as one HTML page: no network, no script, light and dark, printable."""
