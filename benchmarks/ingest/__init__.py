"""How many spans a second the receiver commits, beside a bare COPY of the same rows."""
