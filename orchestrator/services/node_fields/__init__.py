"""The controls of a node's form in a page: the same for the admin and the studio."""
