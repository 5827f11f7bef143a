"""What several tabs show: tables and texts."""
