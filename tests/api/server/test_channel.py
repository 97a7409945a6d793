"""What a request holds is given back before its answer can be read."""

from types import SimpleNamespace

from waitress.adjustments import Adjustments

from task_queue.actors.messages.reply import Reply
from task_queue.api.responses.late import Late
from task_queue.api.server.channel import _Prepared, _Request, _Task
from task_queue.api.traffic import Traffic


def test_what_an_answer_holds_is_given_back_once_and_before_it_leaves() -> None:
    done: list[str] = []
    request = _Request(Adjustments())
    request.received(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    request.left = lambda: done.append("left")
    reply = Reply[None]()
    reply.answer(None)
    headers = [("x-request-id", "1")]
    request.answer = _Prepared("200 OK", headers, b"", Late(reply, lambda _: None))
    channel = SimpleNamespace(
        server=SimpleNamespace(is_draining=False, adj=request.adj, traffic=Traffic()),
        gives_way=False,
        write_later=lambda _: done.append("written"),
    )
    _Task(channel, request).execute()
    request.leave()  # as `service` does for an answer that cannot leave
    assert done == ["left", "written"]
