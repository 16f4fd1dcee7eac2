"""A network, trained once: photographs, runs that survive, what one sees of them."""
