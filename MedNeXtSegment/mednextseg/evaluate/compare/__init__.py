"""Models side by side: ranking, tables over data sets, transferability."""
