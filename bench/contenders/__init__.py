"""What is measured in a hop. Each module has `produce(work)` and `consume(work)`."""
