"""What the provider refuses and how it compares: the form of a type's rules, checks of values, and what the facts add to them."""
