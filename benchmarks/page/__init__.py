"""How soon the Admin page is there on a large database, and pictures of it."""
