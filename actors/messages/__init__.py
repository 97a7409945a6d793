"""Everything one actor may say to another, a file for each receiver."""
