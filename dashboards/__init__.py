"""Boards, rules, alerts and runbooks, versioned with the metrics they read."""
