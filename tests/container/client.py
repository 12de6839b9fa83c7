"""Runs inside containers, by `python -c`: standard library only.

`ask PATH BODY` prints an answer; `load CLIENTS BODY` sends a body so many times at once and prints
the statuses.
"""

import http.client
import json
import sys
import threading


def ask(path: str, body: object) -> tuple[int, str]:
    """Status and text of an answer; a body of None is a GET."""
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=120)
    if body is None:
        connection.request("GET", path)
    else:
        headers = {"content-type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
    response = connection.getresponse()
    return response.status, response.read().decode()


def load(clients: int, body: object) -> list[object]:
    """The status that each client got and the number of its translations, or what went wrong."""
    results: list[object] = []

    def go() -> None:
        try:
            status, text = ask("/v1/translate", body)
            results.append([status, len(json.loads(text)["translations"])])
        except Exception as error:
            results.append(repr(error))

    threads = [threading.Thread(target=go) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


if __name__ == "__main__":
    action, first, second = sys.argv[1:]
    if action == "ask":
        print(ask(first, json.loads(second))[1])
    else:
        print(json.dumps(load(int(first), json.loads(second))))
