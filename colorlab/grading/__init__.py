"""Grade submitted notebooks: run them confined, screen their code, give points."""
