"""How the bundled models are made, and how they are judged."""
