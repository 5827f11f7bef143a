"""What a label is: its name, its synonyms, its codes, and tables of labels in files."""
