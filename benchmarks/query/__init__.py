"""How long questions take, beside plain SQL on the same rows."""
