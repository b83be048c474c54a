"""From points of the joint space to sentences, and back."""
