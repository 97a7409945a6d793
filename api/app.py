"""The Falcon application: which URL is answered by what."""

import falcon

from task_queue.actors.system import ActorSystem
from task_queue.api.actions import ActionsResource
from task_queue.api.dead_letters import DeadLettersResource
from task_queue.api.health import HealthResource, ReadinessResource
from task_queue.api.middleware import RequestId
from task_queue.api.publish import BatchResource, Publisher
from task_queue.api.queues import QueuesResource
from task_queue.api.requests.validation import JSON, Limits
from task_queue.api.responses import errors
from task_queue.api.schedules import ScheduleResource, SchedulesResource
from task_queue.api.tasks import TaskResource, TasksResource


def create_app(
    system: ActorSystem, limits: Limits
) -> "falcon.App[falcon.Request, falcon.Response]":
    """The application over a running actor system.

    Args:
        system: Whom to ask.
        limits: What one request may take.
    """
    app = falcon.App(media_type=JSON, middleware=[RequestId()])
    app.resp_options.xml_error_serialization = False
    app.req_options.keep_blank_qs_values = True
    errors.install(app)
    publisher = Publisher(system, limits)
    app.add_route("/tasks", TasksResource(publisher, system, limits))
    app.add_route("/tasks/batch", BatchResource(publisher))
    task = TaskResource(system, limits)
    app.add_route("/tasks/{task_id}", task)
    app.add_route("/tasks/{task_id}/cancel", task, suffix="cancel")
    app.add_route("/tasks/{task_id}/retry", task, suffix="retry")
    of_actions = ActionsResource(system)
    app.add_route("/actions", of_actions)
    app.add_route("/actions/{name}", of_actions, suffix="one")
    of_queues = QueuesResource(system, limits)
    app.add_route("/queues", of_queues)
    app.add_route("/queues/{name}", of_queues, suffix="one")
    app.add_route("/queues/{name}/pause", of_queues, suffix="pause")
    app.add_route("/queues/{name}/resume", of_queues, suffix="resume")
    app.add_route("/queues/{name}/purge", of_queues, suffix="purge")
    dead_letters = DeadLettersResource(system, limits)
    app.add_route("/dead-letters", dead_letters)
    app.add_route("/dead-letters/redrive", dead_letters, suffix="redrive")
    app.add_route("/schedules", SchedulesResource(system, limits))
    app.add_route("/schedules/{name}", ScheduleResource(system, limits))
    app.add_route("/healthz", HealthResource())
    app.add_route("/readyz", ReadinessResource(system, limits.answer_timeout_seconds))
    return app
