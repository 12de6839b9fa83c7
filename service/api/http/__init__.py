"""What surrounds every request, whatever the protocol. Knows no route."""
