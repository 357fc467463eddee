"""Documents for units: hot lists, configurations and updates. A person's call signs each of them."""
