"""The Falcon application: which resource answers which URL."""

import socket

import falcon

from task_queue.api.actions import ActionsResource
from task_queue.api.dead_letters import DeadLettersResource
from task_queue.api.edge import Edge
from task_queue.api.health import HealthResource, ReadinessResource
from task_queue.api.hosts import Hosts
from task_queue.api.middleware import OneUrl, RequestId
from task_queue.api.origin import OwnOrigin
from task_queue.api.publish import Publisher
from task_queue.api.queues import QueuesResource
from task_queue.api.responses import errors
from task_queue.api.responses.answer import JSON
from task_queue.api.schedules import ScheduleResource, SchedulesResource
from task_queue.api.tasks import TaskResource, TasksResource
from task_queue.api.unpacking import Unpacking
from task_queue.config.settings import HttpSettings


def create_app(
    edge: Edge, http: HttpSettings, *addresses: str
) -> "falcon.App[falcon.Request, falcon.Response]":
    """Return the application over the actors behind the edge.

    Args:
        edge: The way to them.
        http: What is set.
        addresses: What the server is bound to, where `http.host` is a name.
    """
    hosts = Hosts((http.host, *addresses), http.allowed_hosts, socket.gethostname())
    middleware: list[RequestId | OwnOrigin | OneUrl | Unpacking] = [
        RequestId(),
        OwnOrigin(hosts),
        OneUrl(),
        Unpacking(http.max_body_bytes),
    ]
    app = falcon.App(media_type=JSON, middleware=middleware)
    app.resp_options.xml_error_serialization = False
    app.req_options.keep_blank_qs_values = True
    errors.install(app)
    publisher = Publisher(edge)
    app.add_route("/tasks", TasksResource(publisher, edge))
    app.add_route("/tasks/batch", publisher, suffix="batch")
    task = TaskResource(edge)
    app.add_route("/tasks/{task_id}", task)
    app.add_route("/tasks/{task_id}/cancel", task, suffix="cancel")
    app.add_route("/tasks/{task_id}/retry", task, suffix="retry")
    of_actions = ActionsResource(edge)
    app.add_route("/actions", of_actions)
    app.add_route("/actions/{name}", of_actions, suffix="one")
    of_queues = QueuesResource(edge)
    app.add_route("/queues", of_queues)
    app.add_route("/queues/{name}", of_queues, suffix="one")
    app.add_route("/queues/{name}/pause", of_queues, suffix="pause")
    app.add_route("/queues/{name}/resume", of_queues, suffix="resume")
    app.add_route("/queues/{name}/purge", of_queues, suffix="purge")
    dead_letters = DeadLettersResource(edge)
    app.add_route("/dead-letters", dead_letters)
    app.add_route("/dead-letters/redrive", dead_letters, suffix="redrive")
    app.add_route("/schedules", SchedulesResource(edge))
    app.add_route("/schedules/{name}", ScheduleResource(edge))
    app.add_route("/healthz", HealthResource())
    app.add_route("/readyz", ReadinessResource(edge))
    return app
