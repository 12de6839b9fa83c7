#!/bin/sh
# Prints what an image costs: its size beyond Python's, how soon it listens and is ready, its memory.
#   sh docker/report.sh seq2serve:0.1.0
set -eu
image=${1:?usage: report.sh IMAGE}
base=${PYTHON_IMAGE:-python:3.11-slim-bookworm}

bytes() { docker image inspect --format '{{.Size}}' "$1"; }
echo "image: $(($(bytes "$image") / 1000000)) MB, of which $base: $(($(bytes "$base") / 1000000)) MB"

# Asked from inside, so that no port and no network is needed.
name=seq2serve-report-$$
began=$(date +%s%N)
docker run --detach --name "$name" --network none --read-only --cap-drop ALL "$image" > /dev/null
trap 'docker rm --force "$name" > /dev/null' EXIT
docker exec "$name" python -S -c '
import http.client, sys, time
began = int(sys.argv[1])
for path in ("/livez", "/readyz"):
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=5)
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                break
        except OSError:
            pass
        time.sleep(0.01)
    used = sum(map(int, open("/proc/1/stat").read().split()[13:15])) / 100
    print(f"{path}: {(time.time_ns() - began) / 1e9:.2f} s after docker run, {used:.2f} s of a core")
' "$began"
until docker exec "$name" python -S -c '
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=5)
connection.request("GET", "/v1/models")
sys.exit(b"\"loaded\":false" in connection.getresponse().read())
'; do sleep 0.2; done
echo "all models loaded: $(docker exec "$name" grep VmRSS /proc/1/status)"
