"""What a server may say when it can't do as asked, and the one line that comes of it."""

import pytest

from indexer.index.milvus import _named


class SaidError(Exception):
    """As the library's errors: what is meant hides behind what it makes of it."""

    def __init__(self, message, code=1):
        super().__init__(message)
        self.message = message
        self.code = code


@pytest.mark.parametrize(
    ("behind", "means"),
    [
        ("status = StatusCode.UNAUTHENTICATED\n details = auth check failure", "refuses the token"),
        ("PrivilegeInsert: permission deny to someone", "refuses the token"),
        ("SSL_ERROR_SSL: error:0A000086: CERTIFICATE_VERIFY_FAILED", "certificate is not trusted"),
        ("Ssl handshake failed: WRONG_VERSION_NUMBER", "speaks http only"),
        ("Trying to connect an http1.x server", "no Milvus server"),
        ("write /data/1: no space left on device", "make room"),
        ("quota exceeded[reason=memory quota exceeded]", "make room"),
        ("collection not fully loaded", "not ready"),
        ("failed to connect to all addresses; Connection refused", "can't be reached"),
        ("rate limit exceeded[rate=1]", "try again later"),
        ("something new\nwith lines", "see the server's log"),
    ],
)
def test_each_fault_of_a_server_is_one_line_that_says_what_to_do(behind, means):
    try:
        try:
            raise SaidError(behind)
        except SaidError as first:
            raise (
                SaidError("illegal connection params or server unavailable") if "log" not in means else first
            ) from first
    except SaidError as error:
        error.__cause__ = error  # as the library's decorators do
        line = str(_named("https://server:19530 collection lab", error))
    assert means in line
    assert line.startswith("https://server:19530 collection lab: ")
    assert "\n" not in line
