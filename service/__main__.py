"""`python -m service` is `seq2serve`."""

from service.cli import app

app(prog_name="seq2serve")
