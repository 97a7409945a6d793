"""Bodies that come packed: `Content-Encoding`."""

import zlib
from io import BytesIO

import falcon

from task_queue.actors.tasks.text import named
from task_queue.api.responses import problems
from task_queue.api.responses.errors import InvalidRequestError

_PLAIN = {"", "identity"}
_GZIP = {"gzip", "x-gzip"}  # RFC 9110, 8.4.1.3: they are the same
_GZIP_FORMAT = 16 + zlib.MAX_WBITS
"""What zlib calls a gzip header and trailer around the data."""


class Unpacking:
    """Unpacks each body that is packed, so that what comes behind knows plain ones alone."""

    def __init__(self, max_body_bytes: int) -> None:
        """Keep the limit.

        Args:
            max_body_bytes: What a body may have, unpacked too. The server looks at it as it came.
        """
        self._max_body_bytes = max_body_bytes

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Put the unpacked body into the place of the packed one.

        Raises:
            InvalidRequestError: It is damaged or too long.
            HTTPUnsupportedMediaType: It is packed in another way.
        """
        coding = req.env.get("HTTP_CONTENT_ENCODING")
        if coding is None or not req.content_length or coding.lower() in _PLAIN:
            return
        if coding.lower() not in _GZIP:
            raise falcon.HTTPUnsupportedMediaType(
                description=f"Content-Encoding must be gzip or identity, not {named(coding)}",
                headers={"Accept-Encoding": "gzip"},  # RFC 9110, 15.5.16
            )
        body = unpacked(req.stream.read(req.content_length), self._max_body_bytes)
        req.stream = BytesIO(body)
        req.env |= {"wsgi.input": req.stream, "CONTENT_LENGTH": str(len(body))}


def unpacked(packed: bytes, max_bytes: int) -> bytes:
    """Return what is in the gzip file, and never hold more of it than may be there.

    Raises:
        InvalidRequestError: It has more bytes; or it is not gzip, damaged, broken off, or followed
            by something. RFC 1952 allows several files one behind the other, which nobody sends.
    """
    file = zlib.decompressobj(_GZIP_FORMAT)
    try:
        body = file.decompress(packed, max_bytes + 1)
    except zlib.error as error:
        raise _damaged(str(error).rpartition(": ")[2]) from error
    if len(body) > max_bytes:
        message = f"the body must have at most {max_bytes} bytes, unpacked too"
        raise InvalidRequestError(message, problem=problems.BODY_TOO_LONG)
    if not file.eof:
        raise _damaged("it is broken off")
    if file.unused_data:
        raise _damaged(f"{len(file.unused_data)} bytes follow its end")
    return body


def _damaged(why: str) -> InvalidRequestError:
    return InvalidRequestError(f"the body is not gzip, as Content-Encoding says: {why}")
