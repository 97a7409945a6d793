BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE attempts (
	seq INTEGER NOT NULL, 
	task_id TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	started_at DOUBLE, 
	ended_at DOUBLE NOT NULL, 
	worker TEXT, 
	outcome TEXT NOT NULL, 
	error TEXT NOT NULL, 
	traceback TEXT, stderr TEXT, 
	PRIMARY KEY (seq)
);
INSERT INTO "attempts" VALUES(1,'01a21c3b-8488-7170-92f7-9d72b0bd4c4b',1,1.79576999234895944598e+09,1.79576999234987068178e+09,'node:1','failed','data.numbers[0] must be a number, not a string','Traceback (most recent call last):
  File "/srv/task-queue/actors/actions/builtin.py", line 46, in total
    raise Reject(message)
actors.errors.Reject: data.numbers[0] must be a number, not a string
',NULL);
CREATE TABLE counts (
	queue TEXT NOT NULL, 
	slot INTEGER NOT NULL, 
	scheduled BIGINT DEFAULT '0' NOT NULL, 
	blocked BIGINT DEFAULT '0' NOT NULL, 
	active BIGINT DEFAULT '0' NOT NULL, 
	completed BIGINT DEFAULT '0' NOT NULL, 
	dead BIGINT DEFAULT '0' NOT NULL, 
	cancelled BIGINT DEFAULT '0' NOT NULL, 
	bytes BIGINT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (queue, slot)
)
 WITHOUT ROWID

;
INSERT INTO "counts" VALUES('mail',0,0,0,1,0,0,0,17);
INSERT INTO "counts" VALUES('tasks',0,1,0,4,1,1,0,73);
CREATE TABLE idempotency_keys (
	"key" TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	receipts TEXT NOT NULL, 
	expires_at DOUBLE NOT NULL, 
	PRIMARY KEY ("key")
)
 WITHOUT ROWID

;
INSERT INTO "idempotency_keys" VALUES('a1','16b0d031c6dc4fda09078eb924c5e1444fdedfbe7a8217962739215152ca7171','[["01a21c3b-8a99-7115-afaa-ee2560daaee3","queued",false]]',1.79585639388129305834e+09);
CREATE TABLE queues (
	name TEXT NOT NULL, 
	paused BOOLEAN NOT NULL, 
	tokens DOUBLE NOT NULL, 
	refilled_at DOUBLE NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "queues" VALUES('tasks',1,1.0,0.0);
INSERT INTO "queues" VALUES('mail',1,1.0,0.0);
CREATE TABLE schedules (
	name TEXT NOT NULL, 
	cron TEXT NOT NULL, 
	timezone TEXT NOT NULL, 
	missed TEXT NOT NULL, 
	task TEXT NOT NULL, 
	configured BOOLEAN NOT NULL, 
	next_at DOUBLE NOT NULL, 
	last_at DOUBLE, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "schedules" VALUES('morning','0 9 * * *','UTC','skip','{"action":"sum","data":{},"queue":"tasks"}',0,1795770000.0,NULL,1795769993);
CREATE TABLE tasks (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	queue TEXT NOT NULL, 
	action TEXT NOT NULL, 
	data TEXT NOT NULL, 
	status TEXT NOT NULL, 
	result TEXT, 
	error TEXT, 
	priority INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	losses INTEGER NOT NULL, 
	max_attempts INTEGER NOT NULL, 
	run_at DOUBLE NOT NULL, 
	lease_id BIGINT, 
	leased_until DOUBLE, 
	created_at BIGINT NOT NULL, 
	started_at BIGINT, 
	processed_at BIGINT, rank DOUBLE DEFAULT '0' NOT NULL, worker TEXT, ended_at DOUBLE, postponed INTEGER DEFAULT '0' NOT NULL, cancel_requested_at DOUBLE, progress DOUBLE, progress_message TEXT, unique_key TEXT, "key" TEXT, expires_at DOUBLE, keep_result_seconds BIGINT, backoff TEXT, occurrence TEXT, timeout_seconds DOUBLE, 
	PRIMARY KEY (seq), 
	UNIQUE (id)
);
INSERT INTO "tasks" VALUES(1,'01a21c3b-8441-7479-b133-f461b62112c5','tasks','uppercase','{"text":"done before"}','completed','{"output":"DONE BEFORE"}',NULL,0,1,0,5,1.79576999225705361364e+09,NULL,NULL,1795769992,1.79576999226292324069e+09,1795769992,1.79576999225705361364e+09,'node:1',1.79576999226311016084e+09,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "tasks" VALUES(2,'01a21c3b-8488-7170-92f7-9d72b0bd4c4b','tasks','sum','{"numbers":["1"]}','dead',NULL,'data.numbers[0] must be a number, not a string',0,1,0,5,1.79576999232855653767e+09,NULL,NULL,1795769992,1.79576999234895944598e+09,1795769992,1.79576999232855653767e+09,'node:1',1.79576999234987068178e+09,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "tasks" VALUES(3,'01a21c3b-88fe-7050-a055-e2a84d2e9a62','tasks','uppercase','{"text":"queued before"}','queued',NULL,NULL,0,0,0,5,1.79576999347065734864e+09,NULL,NULL,1795769993,NULL,NULL,1.79576999347065734864e+09,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "tasks" VALUES(4,'01a21c3b-8928-7780-b548-d0f100e94378','tasks','sum','{"numbers":[1,2]}','queued',NULL,NULL,7,0,0,5,1.79576999351213097569e+09,NULL,NULL,1795769993,NULL,NULL,1.79574479351213097573e+09,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "tasks" VALUES(5,'01a21c3b-8953-714a-8636-c5abb0f176c2','mail','sum','{"numbers":[3,4]}','queued',NULL,NULL,0,0,0,5,1.79576999355502891541e+09,NULL,NULL,1795769993,NULL,NULL,1.79576999355502891541e+09,NULL,NULL,0,NULL,NULL,NULL,'once','tenant-1',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "tasks" VALUES(6,'01a21c3b-897b-75af-9690-182b4e301aa5','tasks','sum','{"numbers":[5]}','queued',NULL,NULL,0,0,0,5,1.79576999459550428394e+09,NULL,NULL,1795769993,NULL,NULL,1.79576999359550428395e+09,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "tasks" VALUES(7,'01a21c3b-89af-703f-a71f-b0b6312ea823','tasks','sum','{"numbers":[6]}','scheduled',NULL,NULL,0,0,0,5,4070908800.0,NULL,NULL,1795769993,NULL,NULL,1.79576999364760541916e+09,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "tasks" VALUES(8,'01a21c3b-8a99-7115-afaa-ee2560daaee3','tasks','sum','{}','queued',NULL,NULL,0,0,0,5,1.79576999388129305841e+09,NULL,NULL,1795769993,NULL,NULL,1.79576999388129305841e+09,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE INDEX attempts_task_id ON attempts (task_id);
CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);
CREATE INDEX tasks_by_state ON tasks (status, queue, created_at, seq);
CREATE INDEX tasks_ready ON tasks (queue, rank, seq) WHERE status = 'queued';
CREATE INDEX tasks_suspects ON tasks (queue, rank, seq) WHERE status = 'queued' AND losses > 0;
CREATE INDEX tasks_due ON tasks (queue, run_at) WHERE status = 'scheduled';
CREATE INDEX tasks_keys ON tasks (queue, status, "key", rank) WHERE "key" IS NOT NULL AND processed_at IS NULL;
CREATE UNIQUE INDEX tasks_unique ON tasks (queue, unique_key) WHERE unique_key IS NOT NULL AND processed_at IS NULL;
CREATE INDEX tasks_unique_key ON tasks (unique_key, created_at, seq) WHERE unique_key IS NOT NULL;
CREATE UNIQUE INDEX tasks_occurrence ON tasks (occurrence) WHERE occurrence IS NOT NULL;
CREATE INDEX tasks_expiring ON tasks (expires_at) WHERE expires_at IS NOT NULL AND processed_at IS NULL;
CREATE INDEX tasks_kept ON tasks (keep_result_seconds, processed_at) WHERE keep_result_seconds IS NOT NULL AND processed_at IS NOT NULL;
CREATE INDEX tasks_created ON tasks (created_at, seq);
CREATE INDEX tasks_action ON tasks (action, created_at, seq);
CREATE TRIGGER tasks_count_insert AFTER INSERT ON tasks FOR EACH ROW BEGIN UPDATE counts SET scheduled = scheduled + ((NEW.status = 'scheduled')), blocked = blocked + ((NEW.status = 'blocked')), active = active + ((NEW.status = 'queued' OR NEW.status = 'running')), completed = completed + ((NEW.status = 'completed')), dead = dead + ((NEW.status = 'dead')), cancelled = cancelled + ((NEW.status = 'cancelled')), bytes = bytes + CASE WHEN NEW.processed_at IS NULL THEN length(CAST(NEW.data AS BLOB)) ELSE 0 END WHERE queue = NEW.queue AND slot = 0; INSERT INTO counts (queue, slot, scheduled, blocked, active, completed, dead, cancelled, bytes) SELECT NEW.queue, 0, ((NEW.status = 'scheduled')), ((NEW.status = 'blocked')), ((NEW.status = 'queued' OR NEW.status = 'running')), ((NEW.status = 'completed')), ((NEW.status = 'dead')), ((NEW.status = 'cancelled')), CASE WHEN NEW.processed_at IS NULL THEN length(CAST(NEW.data AS BLOB)) ELSE 0 END WHERE changes() = 0; END;
CREATE TRIGGER tasks_count_update AFTER UPDATE OF status ON tasks FOR EACH ROW WHEN (NOT (OLD.status = 'queued' AND NEW.status = 'running')) BEGIN UPDATE counts SET scheduled = scheduled + ((NEW.status = 'scheduled')) - ((OLD.status = 'scheduled')), blocked = blocked + ((NEW.status = 'blocked')) - ((OLD.status = 'blocked')), active = active + ((NEW.status = 'queued' OR NEW.status = 'running')) - ((OLD.status = 'queued' OR OLD.status = 'running')), completed = completed + ((NEW.status = 'completed')) - ((OLD.status = 'completed')), dead = dead + ((NEW.status = 'dead')) - ((OLD.status = 'dead')), cancelled = cancelled + ((NEW.status = 'cancelled')) - ((OLD.status = 'cancelled')), bytes = bytes + CASE WHEN NEW.processed_at IS NULL THEN length(CAST(NEW.data AS BLOB)) ELSE 0 END - CASE WHEN OLD.processed_at IS NULL THEN length(CAST(OLD.data AS BLOB)) ELSE 0 END WHERE queue = NEW.queue AND slot = 0; INSERT INTO counts (queue, slot, scheduled, blocked, active, completed, dead, cancelled, bytes) SELECT NEW.queue, 0, ((NEW.status = 'scheduled')) - ((OLD.status = 'scheduled')), ((NEW.status = 'blocked')) - ((OLD.status = 'blocked')), ((NEW.status = 'queued' OR NEW.status = 'running')) - ((OLD.status = 'queued' OR OLD.status = 'running')), ((NEW.status = 'completed')) - ((OLD.status = 'completed')), ((NEW.status = 'dead')) - ((OLD.status = 'dead')), ((NEW.status = 'cancelled')) - ((OLD.status = 'cancelled')), CASE WHEN NEW.processed_at IS NULL THEN length(CAST(NEW.data AS BLOB)) ELSE 0 END - CASE WHEN OLD.processed_at IS NULL THEN length(CAST(OLD.data AS BLOB)) ELSE 0 END WHERE changes() = 0; END;
CREATE TRIGGER tasks_count_delete AFTER DELETE ON tasks FOR EACH ROW BEGIN UPDATE counts SET scheduled = scheduled + -((OLD.status = 'scheduled')), blocked = blocked + -((OLD.status = 'blocked')), active = active + -((OLD.status = 'queued' OR OLD.status = 'running')), completed = completed + -((OLD.status = 'completed')), dead = dead + -((OLD.status = 'dead')), cancelled = cancelled + -((OLD.status = 'cancelled')), bytes = bytes + -CASE WHEN OLD.processed_at IS NULL THEN length(CAST(OLD.data AS BLOB)) ELSE 0 END WHERE queue = OLD.queue AND slot = 0; INSERT INTO counts (queue, slot, scheduled, blocked, active, completed, dead, cancelled, bytes) SELECT OLD.queue, 0, -((OLD.status = 'scheduled')), -((OLD.status = 'blocked')), -((OLD.status = 'queued' OR OLD.status = 'running')), -((OLD.status = 'completed')), -((OLD.status = 'dead')), -((OLD.status = 'cancelled')), -CASE WHEN OLD.processed_at IS NULL THEN length(CAST(OLD.data AS BLOB)) ELSE 0 END WHERE changes() = 0; END;
COMMIT;
