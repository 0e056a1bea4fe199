"""Commands of `kit`, each in a module of its own: thin, they parse, call and show."""
