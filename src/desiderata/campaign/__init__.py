"""The loop, ask and tell, and its memory."""
