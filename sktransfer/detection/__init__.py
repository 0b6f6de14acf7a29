"""Statistics of healthy rows: how far other rows lie from them, which columns say so, and where the alarm begins."""
