"""How a generator learns a subject from a few pictures."""
