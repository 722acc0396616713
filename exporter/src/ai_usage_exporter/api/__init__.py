"""The query API, its access control, health, metrics and the Admin → AI Usage page."""
