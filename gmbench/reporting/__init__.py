"""What goes out: result files, tables, pictures."""
