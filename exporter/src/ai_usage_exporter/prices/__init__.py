"""Own prices: which one holds for a call, where they are read from, and what a row's cost was made of."""
