"""Who answers: a person, a scene renderer, an archive of pictures."""
