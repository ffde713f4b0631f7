"""What HTTP says of cached answers: validators, Cache-Control, Cache-Status. No framework, no I/O.

    etag.py dates.py    the two validators: made, written, read
    conditions.py       has what the client holds changed (RFC 9110 section 13)
    control.py          Cache-Control, from typed settings and the life that an entry has left
    status.py           Cache-Status (RFC 9211)
    answer.py           all of it for one answer, as a framework's door sends it

An origin server's part. A store of responses (RFC 9111) would stand beside `answer.py` and use the others.
"""
