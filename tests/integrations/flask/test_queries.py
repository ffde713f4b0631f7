"""What a cached view sees of a query of which it names some parameters."""

from flask import Flask, Response, request

from hotset.integrations.flask import Hotset


def test_named_parameters_are_all_that_the_url_shows(cache: Hotset, app: Flask) -> None:
    """A link to the page itself holds nothing that the first client put into the query, whatever a hook has read."""
    after: list[str] = []

    @app.get("/")
    @cache.view("linked", query=["page"])
    def linked() -> str:
        return " ".join((request.url, request.full_path, request.query_string.decode(), *request.values))

    @app.before_request
    def read() -> None:
        assert request.values
        assert request.url

    @app.after_request
    def note(response: Response) -> Response:
        after.append(request.full_path)
        return response

    client = app.test_client()
    first = client.get("/?page=2&utm=evil").text
    assert first == "http://localhost/?page=2 /?page=2 page=2 page"
    assert client.get("/?page=2").text == first
    assert after == ["/?page=2&utm=evil", "/?page=2"]
