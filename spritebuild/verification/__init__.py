"""Actions that run again, with all different that must not matter: is every stage reproducible?"""
