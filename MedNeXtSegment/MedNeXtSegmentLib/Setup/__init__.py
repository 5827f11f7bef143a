"""The Set-up section: packages, settings and the sample volume."""
