"""The Falcon application: which URL is answered by what."""

import falcon

from actors.system import ActorSystem
from api import errors
from api.health import HealthResource, ReadinessResource
from api.middleware import RequestId
from api.tasks import JSON, Limits, TaskResource, TasksResource


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
    app.add_route("/tasks", TasksResource(system, limits))
    app.add_route("/tasks/{task_id}", TaskResource(system, limits))
    app.add_route("/healthz", HealthResource())
    app.add_route("/readyz", ReadinessResource(system, limits.answer_timeout_seconds))
    return app
