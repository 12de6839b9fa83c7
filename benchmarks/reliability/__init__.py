"""Runs that try to break the service, and count: overload, chaos, soak. They judge answers by those
that the same server gave when it had nothing else to do."""
