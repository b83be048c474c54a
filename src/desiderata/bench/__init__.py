"""The papers' experiments: methods times seeds, cell by cell."""
