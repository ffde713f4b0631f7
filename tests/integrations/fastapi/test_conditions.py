"""What is sent where a client holds the answer already."""

from fastapi import Depends, FastAPI, Response
from fastapi.testclient import TestClient

from hotset import Cache
from hotset.integrations.fastapi import cached


def test_a_304_says_all_but_what_describes_a_body() -> None:
    """`Content-Location` is sent with a 304 (RFC 9110, 15.4.5), and a policy is no field of the body."""
    cache, app = Cache(), FastAPI()
    client = TestClient(app)

    def places(response: Response) -> None:
        response.headers["Content-Location"] = "/en/page"
        response.headers["Content-Security-Policy"] = "default-src 'self'"
        response.headers["Content-Language"] = "en"

    @app.get("/placed", dependencies=[Depends(places)])
    @cached(cache, "placed")
    def placed() -> int:
        return 1

    tag = client.get("/placed").headers["etag"]
    answered = client.get("/placed", headers={"If-None-Match": tag})
    assert answered.status_code == 304
    assert {name for name in answered.headers if name.startswith("content-")} == {
        "content-location", "content-security-policy",
    }  # fmt: skip
