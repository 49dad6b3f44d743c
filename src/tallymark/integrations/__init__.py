"""Code that instruments frameworks: a module for each, which is imported when it is first used."""
