"""The demo: a stand-in provider, an app that calls it, and the receiver counting along."""
