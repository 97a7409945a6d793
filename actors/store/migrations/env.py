"""Where Alembic meets the connection that `actors.store.migrate` opened for it."""

from alembic import context

from task_queue.actors.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=False,
)
context.run_migrations()
