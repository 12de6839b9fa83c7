"""Exits with 0 if this container's service is ready to translate; prints why if it is not.

Standard library only: the image has no curl.
"""

import http.client
import os
import sys

EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # nosec
"""Nothing is bound to these: they are looked for, and replaced by what can be asked."""


def main() -> int:
    """Asks /readyz once."""
    host = os.environ.get("SEQ2SERVE_HOST", "127.0.0.1")
    port = int(os.environ.get("SEQ2SERVE_PORT", "8000"))
    connection = http.client.HTTPConnection(EVERY_ADDRESS.get(host, host), port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        print(response.read(1000).decode("utf-8", "replace"))
    except OSError as error:
        print(error)
        return 1
    finally:
        connection.close()
    return 0 if response.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
