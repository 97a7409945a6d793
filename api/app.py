"""The Falcon application: which middleware a request passes, and which resource answers it."""

import socket
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

import falcon

from task_queue.api.actions import ActionsResource
from task_queue.api.audit import AuditResource
from task_queue.api.auth.admission import NOBODY_NEEDS_A_KEY, Admission
from task_queue.api.bulk import BulkResource
from task_queue.api.contract.operation import Operations, opened
from task_queue.api.dead_letters import DeadLettersResource
from task_queue.api.edge import Edge
from task_queue.api.figures import FiguresResource
from task_queue.api.forwarded import BehindProxies, Below
from task_queue.api.gate import Gate
from task_queue.api.health import HealthResource, ReadinessResource
from task_queue.api.hosts import Hosts
from task_queue.api.leases import LeaseResource, LeasesResource
from task_queue.api.metrics.resource import MetricsResource
from task_queue.api.middleware import OneUrl, RequestId
from task_queue.api.nodes import NodesResource
from task_queue.api.openapi.descriptions import Descriptions
from task_queue.api.openapi.resources import DocsResource, OpenApiResource
from task_queue.api.origin import OwnOrigin
from task_queue.api.publish import Publisher
from task_queue.api.queues import QueuesResource
from task_queue.api.responses import errors, urls
from task_queue.api.responses.answer import JSON
from task_queue.api.routes.table import OPERATIONS
from task_queue.api.schedules import ScheduleResource, SchedulesResource
from task_queue.api.tasks import TaskResource, TasksResource
from task_queue.api.traffic import Traffic
from task_queue.api.ui import routes as ui_routes
from task_queue.api.ui.as_pages import AsPages
from task_queue.api.ui.inside import Inside, RefusedError
from task_queue.api.unpacking import Unpacking
from task_queue.config.settings import HttpSettings, UiSettings


def create_app(
    edge: Edge,
    http: HttpSettings,
    *addresses: str,
    admission: Admission = NOBODY_NEEDS_A_KEY,
    ui: UiSettings | None = None,
    traffic: Traffic | None = None,
) -> "falcon.App[falcon.Request, falcon.Response]":
    """Return the application over the actors behind the edge.

    Args:
        edge: The way to them.
        http: What is set.
        addresses: What the server is bound to, where `http.host` is a name.
        admission: Who is let in.
        ui: The dashboard's settings; None: there is none.
        traffic: What the server counts of the requests.
    """
    listens_on = () if http.socket else (http.host, *addresses)
    hosts = Hosts(listens_on, http.allowed_hosts, socket.gethostname())
    table = opened(OPERATIONS, *admission.open_operations)
    operations = Operations(table)
    frame = None
    if ui is not None and ui.enabled:

        def through(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401 - WSGI's
            return app(environ, start_response)

        inside = Inside(through, http.url_prefix)
        sessions = ui_routes.sessions_of(edge, admission, ui.session_seconds)
        frame = ui_routes.frame_of(edge, inside, sessions, needs_key=admission.needs_key)
    middleware: list[
        RequestId | BehindProxies | OwnOrigin | Below | AsPages | Gate | OneUrl | Unpacking
    ] = [
        RequestId(),
        *([BehindProxies(hosts, http.trusted_proxies)] if http.trusted_proxies else []),
        OwnOrigin(hosts),
        *([Below(http.url_prefix)] if http.url_prefix else []),
        *([AsPages(frame)] if frame else []),
        Gate(edge, admission, operations, None if frame is None else frame.sessions),
        OneUrl(operations),
        Unpacking(http.max_body_bytes),
    ]
    app = falcon.App(media_type=JSON, middleware=middleware)
    app.resp_options.xml_error_serialization = False
    app.req_options.keep_blank_qs_values = True
    errors.install(app)
    urls.begin_with(http.url_prefix)
    publisher = Publisher(edge)
    descriptions = Descriptions(edge, table, version("task-queue"), needs_key=admission.needs_key)
    resources = (
        TasksResource(publisher, edge),
        publisher,
        TaskResource(edge),
        BulkResource(edge),
        DeadLettersResource(edge),
        QueuesResource(edge),
        FiguresResource(edge),
        NodesResource(edge),
        LeaseResource(edge),
        LeasesResource(edge),
        SchedulesResource(edge),
        ScheduleResource(edge),
        ActionsResource(edge),
        AuditResource(edge),
        MetricsResource(edge, traffic or Traffic()),
        HealthResource(),
        ReadinessResource(edge),
        OpenApiResource(descriptions),
        DocsResource(descriptions),
    )
    _add_routes(app, {type(each): each for each in resources})
    if frame is not None:
        app.add_error_handler(RefusedError, AsPages.on_refused)
        for path, page, suffix in ui_routes.routes(frame, edge):
            app.add_route(path, page, suffix=suffix)
    return app


def _add_routes(
    app: "falcon.App[falcon.Request, falcon.Response]", resources: Mapping[type, object]
) -> None:
    """Add each path of the table, with the resource that answers it."""
    # Each once: of one path the operations have the same resource.
    routes = dict.fromkeys((each.path, each.resource, each.suffix) for each in OPERATIONS)
    for path, resource, suffix in routes:
        app.add_route(path, resources[resource], suffix=suffix)
